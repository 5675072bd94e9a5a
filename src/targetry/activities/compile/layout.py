"""Layout: ids of activities and experiences, and the windows of the experiences.

The layout starts from the lock, and changed shares move as few visitors as possible.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from targetry.activities.compile.activity_set import ActivitySet
from targetry.activities.model.definitions import ActivityDefinition, ExperienceDefinition, GroupDefinition
from targetry.activities.model.finding import Finding
from targetry.activities.model.ids import derived_id
from targetry.activities.model.lock_file import Lock, LockedActivity, LockedExperience, LockedGroup
from targetry.activities.model.windows import (
    WHOLE,
    Span,
    hundredths,
    lanes,
    part_of,
    percent,
    rebalance,
    total_width,
)

Window = tuple[float, float]
_HOLDOUT: Final = ""


class ActivityLayout(NamedTuple):
    """Id of an activity, and ids and windows of its experiences by their keys, in percent.

    `windows` is None for activities that are not split; an experience without an entry has no
    window.
    """

    id: int
    experience_ids: dict[str, int]
    windows: dict[str, list[Window]] | None


class Layout(NamedTuple):
    """Layouts of activities by key, windows of holdouts by group, and the lock that has them."""

    activities: dict[str, ActivityLayout]
    holdouts: dict[str, tuple[int, list[Window]]]
    lock: Lock


def lay_out(
    activities: ActivitySet, lock: Lock | None, findings: list[Finding], *, relayout: Iterable[str] = ()
) -> Layout:
    """Return the layout of all activities, and add mistakes to `findings`.

    Args:
        activities: The activities.
        lock: Ids and windows of earlier compilations.
        findings: Mistakes are added.
        relayout: Keys of activities and names of groups whose windows are laid out afresh.
    """
    planner = _Planner(activities, lock or Lock(), findings, frozenset(relayout))
    return planner.lay_out()


class _Planner:
    def __init__(
        self, activities: ActivitySet, lock: Lock, findings: list[Finding], relayout: frozenset[str]
    ) -> None:
        self._set = activities
        self._lock = lock
        self._findings = findings
        self._relayout = relayout
        self._client = activities.settings.client
        self._indexes = {one.key: index for index, one in enumerate(activities.activities)}
        self._layouts: dict[str, ActivityLayout] = {}
        self._locked: dict[str, LockedActivity] = {}
        self._groups: dict[str, LockedGroup] = {}

    def lay_out(self) -> Layout:
        grouped: dict[str, str] = {}
        for name, group in self._set.settings.groups.items():
            for number, member in enumerate(group.members):
                path = f"groups.{name}.members[{number}]"
                if member.activity not in self._indexes:
                    self._error("TA004", f"{path}.activity", f"there is no activity {member.activity!r}")
                elif grouped.setdefault(member.activity, name) != name:
                    self._error("TA117", f"{path}.activity", f"{member.activity!r} is in two groups")
        for index, activity in enumerate(self._set.activities):
            self._check(index, activity, grouped.get(activity.key))
            if activity.key in grouped:
                continue
            if activity.state == "draft":
                if activity.key in self._lock.activities:
                    self._locked[activity.key] = self._lock.activities[activity.key]
                continue
            self._lay_out_one(activity)
        holdouts = {
            name: self._lay_out_group(name, group) for name, group in self._set.settings.groups.items()
        }
        lock = Lock(activities=self._locked, groups=self._groups)
        return Layout(self._layouts, holdouts, lock)

    def _error(self, code: str, path: str, message: str, hint: str | None = None) -> None:
        self._findings.append(self._set.finding(code, path, message, hint=hint))

    def _check(self, index: int, activity: ActivityDefinition, group: str | None) -> None:
        path = f"activities[{index}]"
        if activity.group is not None and activity.group != group:
            self._error(
                "TA004",
                f"{path}.group",
                f"the group {activity.group!r} has no member {activity.key!r}",
                f"add it to groups.{activity.group}.members",
            )
        given = [one.share is not None for one in activity.experiences]
        fixed = [one.windows is not None for one in activity.experiences]
        if activity.is_split:
            shares = sum(hundredths(one.share or 0) for one in activity.experiences)
            if any(fixed) and (any(given) or not all(fixed) or group is not None):
                self._error("TA203", f"{path}.experiences", "windows are given for some experiences only")
            elif not any(fixed) and not all(given):
                self._error(
                    "TA203", f"{path}.experiences[{given.index(False)}]", "an experience has no share"
                )
            elif shares > WHOLE:
                self._error("TA203", f"{path}.experiences", f"the shares add up to {percent(shares)} %")
            for number, one in enumerate(activity.experiences):
                self._check_numbers(f"{path}.experiences[{number}]", one)
        elif any(given):
            self._error(
                "TA203",
                f"{path}.experiences[{given.index(True)}].share",
                f"an activity of type {activity.type!r} has no shares",
                "use the type ab",
            )

    def _check_numbers(self, path: str, experience: ExperienceDefinition) -> None:
        if (
            experience.share is not None
            and abs(experience.share * 100 - round(experience.share * 100)) > 1e-6
        ):
            self._error("TA203", f"{path}.share", f"the share {experience.share} has more than two decimals")
        if any(low >= high for low, high in experience.windows or ()):
            self._error("TA203", f"{path}.windows", "a window ends before it starts")

    def _old(self, activity: ActivityDefinition) -> LockedActivity | None:
        """Return the lock's entry of an activity, also by its former key."""
        keys = (activity.key, *([activity.renamed_from] if activity.renamed_from else []))
        return next((self._lock.activities[key] for key in keys if key in self._lock.activities), None)

    def _old_alone(self, activity: ActivityDefinition) -> LockedActivity | None:
        """Return the lock's entry of an activity, unless it was a member of a group."""
        old = self._old(activity)
        return None if old is None or any(old.id == one.id for one in self._lock.groups.values()) else old

    def _lay_out_one(self, activity: ActivityDefinition) -> None:
        old = self._old_alone(activity)
        id = activity.id
        if id is None:
            id = derived_id(self._client, activity.renamed_from or activity.key) if old is None else old.id
        ids = _experience_ids(activity.experiences, old, set())
        if any(one.windows is not None for one in activity.experiences):
            fixed = {one.key: list(one.windows) for one in activity.experiences if one.windows is not None}
            self._layouts[activity.key] = ActivityLayout(id, ids, fixed)
            return
        windows = self._windows(activity, old) if activity.is_split else None
        self._layouts[activity.key] = ActivityLayout(
            id,
            ids,
            None if windows is None else {key: _in_percent(spans) for key, spans in windows.items()},
        )
        traffic = hundredths(activity.traffic)
        self._locked[activity.key] = LockedActivity(id, traffic, _locked(ids, windows or {}, old))

    def _windows(self, activity: ActivityDefinition, old: LockedActivity | None) -> dict[str, list[Span]]:
        shares = {one.key: hundredths(one.share or 0) for one in activity.experiences}
        traffic = hundredths(activity.traffic)
        before = (
            {} if old is None else {key: one.windows for key, one in old.experiences.items() if one.windows}
        )
        if (
            old is None
            or not before
            or activity.key in self._relayout
            or before == _lanes(shares, old.traffic)
        ):
            return {key: [] for key in shares} | _lanes(shares, traffic)
        return rebalance(before, {key: part_of(share, traffic) for key, share in shares.items()})

    def _lay_out_group(self, name: str, group: GroupDefinition) -> tuple[int, list[Window]]:
        """Lay out the members of a group in slices of one line."""
        old = None if name in self._relayout else self._lock.groups.get(name)
        id = (
            group.id
            if group.id is not None
            else old.id
            if old is not None
            else derived_id(self._client, f"group/{name}")
        )
        members = [
            (self._set.activities[self._indexes[one.activity]], hundredths(one.share))
            for one in group.members
            if one.activity in self._indexes
        ]
        widths = {_HOLDOUT: hundredths(group.holdout)}
        for activity, slice in members:
            widths |= _member_widths(activity, slice)
        before = {} if old is None else self._group_windows(old, {one.key for one, _ in members})
        left = {key: spans for key, spans in before.items() if key not in widths and key.endswith("/")}
        widths |= {key: total_width(spans) for key, spans in left.items()}
        if sum(widths.values()) > WHOLE:
            self._error(
                "TA203",
                f"groups.{name}.members",
                f"the shares, the holdout and the slices of former members add up to {percent(sum(widths.values()))} %",
                "lower them, or release a slice: targetry activities lock --release KEY" if left else None,
            )
        windows = rebalance(before, widths) if before else _first_windows(members, widths[_HOLDOUT])
        taken: set[int] = set()
        for activity, _ in members:
            self._lay_out_member(activity, id, windows, taken)
        rest = {key[:-1]: spans for key, spans in windows.items() if key.endswith("/") and spans}
        self._groups[name] = LockedGroup(id, windows.get(_HOLDOUT, []), rest)
        return id, _in_percent(windows.get(_HOLDOUT, []))

    def _group_windows(self, old: LockedGroup, members: set[str]) -> dict[str, list[Span]]:
        """Return what the lock has of a group: by `member/experience`, and `member/` for the rest.

        The whole slice of a former member is its rest.
        """
        found: dict[str, list[Span]] = {_HOLDOUT: old.holdout}
        found |= {f"{key}/": list(spans) for key, spans in old.rest.items()}
        for key, activity in self._lock.activities.items():
            if activity.id != old.id:
                continue
            rest = found.setdefault(f"{key}/", [])
            for experience, one in activity.experiences.items():
                if key in members:
                    found[f"{key}/{experience}"] = list(one.windows)
                else:
                    rest += one.windows
        return found

    def _lay_out_member(
        self, activity: ActivityDefinition, id: int, windows: dict[str, list[Span]], taken: set[int]
    ) -> None:
        old = self._old(activity)
        ids = _experience_ids(activity.experiences, old, taken)
        taken |= set(ids.values())
        rest = windows.get(f"{activity.key}/", [])
        own = {
            one.key: windows.get(f"{activity.key}/{one.key}", []) if activity.is_split else rest
            for one in activity.experiences
        }
        self._layouts[activity.key] = ActivityLayout(
            id, ids, {key: _in_percent(spans) for key, spans in own.items()}
        )
        self._locked[activity.key] = LockedActivity(
            id, hundredths(activity.traffic), _locked(ids, own if activity.is_split else {}, old)
        )


def _lanes(shares: dict[str, int], traffic: int) -> dict[str, list[Span]]:
    laid = zip(shares, lanes(list(shares.values()), traffic), strict=True)
    return {key: spans for key, spans in laid if spans}


def _member_widths(activity: ActivityDefinition, slice: int) -> dict[str, int]:
    """Return the widths of a member's experiences, and of the rest of its slice."""
    if not activity.is_split:
        return {f"{activity.key}/": slice}
    traffic = hundredths(activity.traffic)
    widths = {
        f"{activity.key}/{one.key}": part_of(part_of(hundredths(one.share or 0), slice), traffic)
        for one in activity.experiences
    }
    return widths | {f"{activity.key}/": max(0, slice - sum(widths.values()))}


def _first_windows(members: list[tuple[ActivityDefinition, int]], holdout: int) -> dict[str, list[Span]]:
    windows: dict[str, list[Span]] = {_HOLDOUT: [(0, holdout)] if holdout else []}
    start = holdout
    for activity, slice in members:
        end = min(start + slice, WHOLE)
        if activity.is_split:
            shares = [hundredths(one.share or 0) for one in activity.experiences]
            laid = lanes(shares, hundredths(activity.traffic), (start, end))
            windows |= {
                f"{activity.key}/{one.key}": spans
                for one, spans in zip(activity.experiences, laid, strict=True)
            }
        used = [
            span for key, spans in windows.items() if key.startswith(f"{activity.key}/") for span in spans
        ]
        windows[f"{activity.key}/"] = _without((start, end), used)
        start = end
    return windows


def _without(span: Span, used: list[Span]) -> list[Span]:
    start, found = span[0], []
    for low, high in sorted(used):
        if start < low:
            found.append((start, low))
        start = max(start, high)
    return [*found, (start, span[1])] if start < span[1] else found


def _experience_ids(
    experiences: list[ExperienceDefinition], old: LockedActivity | None, taken: set[int]
) -> dict[str, int]:
    """Return ids: given, locked, or the next that no experience has or had."""
    known = {} if old is None else {key: one.id for key, one in old.experiences.items()}
    found: dict[str, int] = {}
    for one in experiences:
        if one.id is not None:
            found[one.key] = one.id
        elif one.key in known:
            found[one.key] = known[one.key]
    used = {*found.values(), *known.values(), *taken}
    next_id = 0
    for place, one in enumerate(experiences):
        if one.key not in found:
            id = place if old is None and place not in used else None
            while id is None or id in used:
                id, next_id = next_id, next_id + 1
            found[one.key] = id
            used.add(id)
    return {one.key: found[one.key] for one in experiences}


def _locked(
    ids: dict[str, int], windows: dict[str, list[Span]], old: LockedActivity | None
) -> dict[str, LockedExperience]:
    """Return the lock's entries; removed experiences keep theirs without windows."""
    removed = {} if old is None else {key: one.id for key, one in old.experiences.items()}
    return {key: LockedExperience(id, windows.get(key, [])) for key, id in (removed | ids).items()}


def _in_percent(spans: Iterable[Span]) -> list[Any]:
    return [(percent(low), percent(high)) for low, high in spans]
