"""Plans of reports in the files of a folder: planned visitors, cap and guardrails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from targetry.activities.compile.activity_set import ActivitySet
from targetry.activities.compile.compiler import Compilation
from targetry.activities.model.definitions import ActivityDefinition, GuardrailDefinition


class OwnPlan(NamedTuple):
    """Plan of an activity, with what it has from its folder.

    Attributes:
        visitors: Planned visitors; None without a plan.
        guardrails: Metrics that no experience must harm.
    """

    visitors: int | None
    guardrails: Sequence[GuardrailDefinition]


class FolderPlans(NamedTuple):
    """Plans of a folder.

    Attributes:
        folder: The folder in messages.
        default: Plan of activities that are not in the folder.
        cap: Amount up to which a visitor's revenue counts; None without a cap.
        activities: Plans by the ids of the activities; members of a group share an id.
        conflict: Why the plans cannot be used; empty if they can.
    """

    folder: str
    default: OwnPlan
    cap: float | None
    activities: Mapping[str, OwnPlan]
    conflict: str


def folder_plans(folder: str, activities: ActivitySet, compilation: Compilation) -> FolderPlans:
    """Return the plans of a folder.

    Args:
        folder: The folder in messages.
        activities: Its activities.
        compilation: Their compilation, which has the ids.
    """
    settings = activities.settings
    default = OwnPlan(None if settings.plan is None else settings.plan.visitors, settings.guardrails)
    members: dict[str, list[ActivityDefinition]] = {}
    for one in activities.activities:
        laid_out = compilation.layout.activities.get(one.key) or compilation.lock.activities.get(one.key)
        id = laid_out.id if laid_out is not None else one.id
        if id is not None:
            members.setdefault(str(id), []).append(one)
    found, conflict = {}, ""
    for key, own in members.items():
        conflict = conflict or _conflict(own, "plan") or _conflict(own, "guardrails")
        plan, guardrails = _first(own, "plan"), _first(own, "guardrails")
        found[key] = OwnPlan(
            default.visitors if plan is None else plan.visitors,
            default.guardrails if guardrails is None else guardrails,
        )
    return FolderPlans(folder, default, settings.metrics.revenue.cap, found, conflict)


def _first(members: Sequence[ActivityDefinition], name: str) -> Any:
    return next((value for one in members if (value := getattr(one, name)) is not None), None)


def _conflict(members: Sequence[ActivityDefinition], name: str) -> str:
    """Return that members have different values, empty if they have not."""
    given = [one for one in members if getattr(one, name) is not None]
    other = next((one for one in given if getattr(one, name) != getattr(given[0], name)), None)
    if other is None:
        return ""
    return (
        f"{given[0].key!r} and {other.key!r} differ in {name!r}, but a report shows the members "
        "of a group as one activity; give them the same"
    )
