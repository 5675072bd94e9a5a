"""Activities of an artifact with the experiences and shares that a report needs."""

from __future__ import annotations

from typing import Final

from targetry.device.activities import ArtifactActivity, activities_of, covered_share, text_of
from targetry.device.ruleset import RuleSet
from targetry.ledger.event import ActivityDescription, ExperienceDescription, id_sort_key

_SPLIT_TYPE: Final = "ab"


def report_activities(rules: RuleSet) -> list[ActivityDescription]:
    """Return the activities of an artifact in its order; rules without an activity are left out.

    Experiences are sorted by id, as the first one is Target's control. The share of an experience
    is as wide as its windows of the allocation together.
    """
    return [_activity(one) for one in activities_of(rules) if one.key]


def _activity(activity: ArtifactActivity) -> ActivityDescription:
    names: dict[str, str | None] = {}
    windows: dict[str, set[tuple[float, float]]] = {}
    for placed in activity.rules:
        meta = placed.rule.meta
        experience = meta.get("experience.id")
        if experience is not None:
            names.setdefault(str(experience), text_of(meta, "experience.name"))
            windows.setdefault(str(experience), set()).add(placed.rule.percent_window)
    is_split = activity.type == _SPLIT_TYPE
    experiences = tuple(
        ExperienceDescription(key, names[key], covered_share(windows[key]) if is_split else None)
        for key in sorted(names, key=id_sort_key)
    )
    return ActivityDescription(activity.key, activity.name, activity.type, experiences)
