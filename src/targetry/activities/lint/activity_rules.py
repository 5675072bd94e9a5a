"""Checks of activities by themselves: schedule, shares, windows, control, renamed keys, names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from targetry.activities.compile.audiences import ScheduleError, schedule_conditions
from targetry.activities.expressions import referenced_names
from targetry.activities.lint.context import LintContext
from targetry.activities.model.definitions import ActivityDefinition
from targetry.activities.model.finding import Finding
from targetry.activities.model.lock_file import LockedActivity
from targetry.activities.model.windows import WHOLE, hundredths, percent

_YEAR_MS: Final = 366 * 86_400_000
_MOST_WINDOWS: Final = 8


def check_schedules(context: LintContext) -> Iterator[Finding]:
    """Find activities that have ended, or start in more than a year (TA116)."""
    for index, activity in context.live:
        schedule = activity.schedule
        if schedule is None or not _is_usable(activity):
            continue
        path = f"activities[{index}].schedule"
        if schedule.to is not None and _epoch_ms(schedule.to) <= context.now_ms:
            message = f"the activity has ended: {schedule.to} is in the past"
            yield context.finding("TA116", f"{path}.to", message, "pause or delete it")
        elif schedule.from_ is not None and _epoch_ms(schedule.from_) > context.now_ms + _YEAR_MS:
            message = f"the activity starts in more than a year: {schedule.from_}"
            yield context.finding("TA116", f"{path}.from", message)


def _is_usable(activity: ActivityDefinition) -> bool:
    try:
        return activity.schedule is not None and schedule_conditions(activity.schedule) is not None
    except ScheduleError:  # a finding of the compilation
        return False


def _epoch_ms(text: str) -> float:
    return datetime.fromisoformat(text).timestamp() * 1000


def check_shares(context: LintContext) -> Iterator[Finding]:
    """Find shares below 100 (TA204), many windows (TA205) and odd controls (TA207)."""
    for index, activity in context.live:
        path = f"activities[{index}]"
        yield from _check_windows(context, path, activity)
        if activity.is_split:
            yield from _check_sum(context, path, activity)
            yield from _check_control(context, path, activity)


def _check_sum(context: LintContext, path: str, activity: ActivityDefinition) -> Iterator[Finding]:
    shares = [one.share for one in activity.experiences if one.share is not None]
    total = sum(map(hundredths, shares))
    if len(shares) == len(activity.experiences) and total < WHOLE:
        message = f"the shares add up to {percent(total):g} %, so the other visitors get nothing"
        hint = "let them add up to 100 and give the activity a `traffic`"
        yield context.finding("TA204", f"{path}.experiences", message, hint)


def _check_windows(context: LintContext, path: str, activity: ActivityDefinition) -> Iterator[Finding]:
    layout = context.compilation.layout.activities.get(activity.key)
    for number, experience in enumerate(activity.experiences):
        windows = (layout.windows or {}).get(experience.key, []) if layout is not None else []
        if len(windows) > _MOST_WINDOWS:
            message = (
                f"the experience has {len(windows)} windows, so each of its rules stands {len(windows)} times"
            )
            hint = (
                f"lay it out afresh, which moves visitors: targetry activities lock --relayout {activity.key}"
            )
            yield context.finding("TA205", f"{path}.experiences[{number}]", message, hint)


def _check_control(context: LintContext, path: str, activity: ActivityDefinition) -> Iterator[Finding]:
    controls = [number for number, one in enumerate(activity.experiences) if one.control]
    if len(activity.experiences) == 1:
        message = "the split has one experience, so there is nothing to compare"
        yield context.finding("TA207", f"{path}.experiences", message, "add one, or use the type xt")
    elif len(controls) > 1:
        where = f"{path}.experiences[{controls[1]}].control"
        yield context.finding("TA207", where, "a second experience is the control")
    elif controls and controls[0] > 0:
        where = f"{path}.experiences[{controls[0]}].control"
        yield context.finding(
            "TA207", where, "the control is not the first experience", "put it first in the list"
        )


def check_renamed_keys(context: LintContext) -> Iterator[Finding]:
    """Find keys that seem to be renamed without `renamed_from` (TA210)."""
    if context.lock is None:
        return
    keys = {one.key for one in context.activities.activities}
    gone = {key: one for key, one in context.lock.activities.items() if key not in keys}
    for index, activity in enumerate(context.activities.activities):
        if activity.key in context.lock.activities or activity.id is not None or activity.renamed_from:
            continue
        former = next((key for key, locked in gone.items() if _is_alike(activity, locked)), None)
        if former is not None:
            message = f"the lock has {former!r} with the same experiences, and no file has that key"
            hint = f"write `renamed_from: {former}` to keep its visitors where they are"
            yield context.finding("TA210", f"activities[{index}].key", message, hint)


def _is_alike(activity: ActivityDefinition, locked: LockedActivity) -> bool:
    return {one.key for one in activity.experiences} == {
        key for key, one in locked.experiences.items() if one.windows or not activity.is_split
    }


def check_unused(context: LintContext) -> Iterator[Finding]:
    """Find audiences, properties, groups and offer files that nothing refers to (TA211)."""
    settings = context.settings
    used = {name for one in context.texts for name in _names(one.text, settings.audiences)}
    for name in settings.audiences:
        if name not in used:
            yield context.finding("TA211", f"audiences.{name}", f"the audience {name!r} is not used")
    tokens = {one for activity in context.activities.activities for one in activity.properties or ()}
    tokens.update(settings.defaults.properties or ())
    for name, token in settings.properties.items():
        if name not in tokens and token not in tokens:
            yield context.finding("TA211", f"properties.{name}", f"the property {name!r} is not used")
    for name, group in settings.groups.items():
        if not group.members:
            yield context.finding("TA211", f"groups.{name}", f"the group {name!r} has no members")
    for file in context.unused_files:
        yield Finding(code="TA211", level="warning", message="no offer refers to the file", file=file)


def _names(text: str, audiences: dict[str, object] | object) -> list[str]:
    return [text] if isinstance(audiences, dict) and text in audiences else referenced_names(text)
