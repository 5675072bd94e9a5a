"""Activities of an artifact: its rules by activity, and the allocation that windows cover."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from targetry.device.ruleset import CompiledRule, RuleSet


class PlacedRule(NamedTuple):
    """A rule and its location; `location_type` is `mbox` or `view`."""

    location_type: str
    location: str
    rule: CompiledRule


class ArtifactActivity(NamedTuple):
    """An activity with its rules in the artifact's order.

    `key` is the part of the bucketing key, empty for rules without an activity; `id` is the value
    that the artifact has for it. `name` and `type` are those of the first rule.
    """

    key: str
    id: Any
    name: str | None
    type: str | None
    rules: list[PlacedRule]


def activities_of(rules: RuleSet) -> list[ArtifactActivity]:
    """Return the activities in the order of their first rules, mboxes before views."""
    activities: dict[str, ArtifactActivity] = {}
    for placed in _placed_rules(rules):
        key = placed.rule.activity_id
        activity = activities.get(key)
        if activity is None:
            meta = placed.rule.meta
            name, kind = text_of(meta, "activity.name"), text_of(meta, "activity.type")
            activity = activities[key] = ArtifactActivity(key, meta.get("activity.id"), name, kind, [])
        activity.rules.append(placed)
    return list(activities.values())


def covered_share(windows: Iterable[tuple[float, float]]) -> float:
    """Return the percentage of all allocations that the windows cover together."""
    total = reached = 0.0
    for low, high in sorted(windows):
        total += max(0.0, high - max(low, reached))
        reached = max(reached, high)
    return round(total, 4)


def text_of(meta: dict[str, Any], name: str) -> str | None:
    """Return a text of a rule's meta, None for a value of another type."""
    value = meta.get(name)
    return value if isinstance(value, str) else None


def _placed_rules(rules: RuleSet) -> Iterator[PlacedRule]:
    for location_type, locations in (("mbox", rules.mboxes), ("view", rules.views)):
        for name, location in locations.items():
            for rule in location.rules:
                yield PlacedRule(location_type, name, rule)
