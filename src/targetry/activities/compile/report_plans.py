"""Plans of reports in the files of a folder: planned visitors, metrics, cap and guardrails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from targetry.activities.compile.activity_set import ActivitySet
from targetry.activities.compile.compiler import Compilation
from targetry.activities.model.definitions import ActivityDefinition, GuardrailDefinition

_KEYS: Final = ("plan", "primary_metric", "guardrails")


class OwnPlan(NamedTuple):
    """Plan of an activity, with what it has from its folder.

    Attributes:
        visitors: Planned visitors; None without a plan.
        metric: The primary metric; None if the files have none.
        guardrails: Metrics that no experience must harm.
    """

    visitors: int | None
    metric: str | None
    guardrails: Sequence[GuardrailDefinition]


class FolderPlans(NamedTuple):
    """Plans of a folder.

    Attributes:
        folder: The folder in messages.
        default: Plan of activities that are not in the folder.
        cap: Amount up to which a visitor's revenue counts; None without a cap.
        activities: Plans by the ids of the activities; members of a group share an id.
        ids: Ids of the activities by their keys.
        conflict: Why the plans cannot be used; empty if they can.
    """

    folder: str
    default: OwnPlan
    cap: float | None
    activities: Mapping[str, OwnPlan]
    ids: Mapping[str, str]
    conflict: str

    def of(self, id: str) -> OwnPlan:
        """Return the plan of an activity by its id."""
        return self.activities.get(id, self.default)


def folder_plans(folder: str, activities: ActivitySet, compilation: Compilation) -> FolderPlans:
    """Return the plans of a folder.

    Args:
        folder: The folder in messages.
        activities: Its activities.
        compilation: Their compilation, which has the ids.
    """
    settings = activities.settings
    default = OwnPlan(
        None if settings.plan is None else settings.plan.visitors,
        next(iter(settings.metrics.primary), None),
        settings.guardrails,
    )
    members: dict[str, list[ActivityDefinition]] = {}
    for one in activities.activities:
        laid_out = compilation.layout.activities.get(one.key) or compilation.lock.activities.get(one.key)
        id = laid_out.id if laid_out is not None else one.id
        if id is not None:
            members.setdefault(str(id), []).append(one)
    found, conflict = {}, ""
    ids = {one.key: id for id, own in members.items() for one in own}
    for key, own in members.items():
        conflict = conflict or next(filter(None, (_conflict(own, name) for name in _KEYS)), "")
        plan, metric, guardrails = (_first(own, name) for name in _KEYS)
        found[key] = OwnPlan(
            default.visitors if plan is None else plan.visitors,
            metric or default.metric,
            default.guardrails if guardrails is None else guardrails,
        )
    return FolderPlans(folder, default, settings.metrics.revenue.cap, found, ids, conflict)


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
