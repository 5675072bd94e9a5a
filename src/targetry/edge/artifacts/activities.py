"""What an artifact says about its activities, for a report: their names, experiences and shares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from targetry.device.explain.explanation import display_window
from targetry.device.ruleset import CompiledRule, RuleSet
from targetry.ledger.event import Activity, Experience
from targetry.report.ordering import id_sort_key

_SPLIT_TYPE: Final = "ab"

Windows = set[tuple[float, float]]


class _Found:
    """One activity while its rules are gone through."""

    def __init__(self, meta: dict[str, Any]) -> None:
        self.name = _text(meta.get("activity.name"))
        self.type = _text(meta.get("activity.type"))
        self.names: dict[str, str | None] = {}
        self.windows: dict[str, Windows] = {}

    def add(self, rule: CompiledRule, meta: dict[str, Any]) -> None:
        experience = meta.get("experience.id")
        if experience is None:
            return
        key = str(experience)
        self.names.setdefault(key, _text(meta.get("experience.name")))
        self.windows.setdefault(key, set()).add(display_window(rule.low, rule.high))

    def activity(self, activity_id: str) -> Activity:
        is_split = self.type == _SPLIT_TYPE
        experiences = tuple(
            Experience(key, self.names[key], _width(self.windows[key]) if is_split else None)
            for key in sorted(self.names, key=id_sort_key)
        )
        return Activity(activity_id, self.name, self.type, experiences)


def activities_of(rules: RuleSet) -> list[Activity]:
    """The activities of an artifact, in its order; experiences by their ids, since the first is Target's control.

    The share of an experience is as wide as its windows of the allocation together.
    """
    found: dict[str, _Found] = {}
    for rule in _every_rule(rules):
        if rule.activity_id:
            meta = rule.meta
            found.setdefault(rule.activity_id, _Found(meta)).add(rule, meta)
    return [one.activity(activity_id) for activity_id, one in found.items()]


def _every_rule(rules: RuleSet) -> Iterator[CompiledRule]:
    for location in (*rules.mboxes.values(), *rules.views.values()):
        yield from location.rules


def _width(windows: Windows) -> float:
    """The length of the union of the windows, which share their ends."""
    total = reached = 0.0
    for low, high in sorted(windows):
        total += max(0.0, high - max(low, reached))
        reached = max(reached, high)
    return round(total, 4)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
