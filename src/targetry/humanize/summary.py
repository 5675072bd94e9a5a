"""What an artifact holds: activities with their experiences, locations, what is remote and what cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from targetry.device.explain.explanation import display_window
from targetry.device.ruleset import CompiledRule, RuleSet, split_window
from targetry.humanize.audience import describe_audience


class ExperienceSummary(msgspec.Struct, rename="camel"):
    """`share`: percent of the audience that gets it, as the artifact asks for. `locations` are where."""

    id: Any
    name: str | None
    share: float
    audience: str
    property_tokens: list[str]
    locations: list[str]
    offers: list[str]


class ActivitySummary(msgspec.Struct, rename="camel"):
    """`type` is `ab` or `landing` (experience targeting)."""

    id: Any
    name: str | None
    type: str | None
    experiences: list[ExperienceSummary]


class LocationSummary(msgspec.Struct, rename="camel"):
    """`type` is `mbox` or `view`; `is_remote`: activities of it, or all, are decided by the Delivery API only."""

    type: str
    name: str
    rules: int
    is_remote: bool


class UnusableRuleSummary(msgspec.Struct, rename="camel"):
    """A rule that never matches."""

    location: str
    position: int
    reason: str


class ArtifactSummary(msgspec.Struct, rename="camel"):
    """`rules` counts those that can be used."""

    version: str
    client_code: str | None
    environment: str | None
    generated_at: str | None
    global_mbox: str
    geo_targeting_enabled: bool
    response_tokens: list[str]
    rules: int
    activities: list[ActivitySummary]
    locations: list[LocationSummary]
    unusable_rules: list[UnusableRuleSummary] = msgspec.field(name="quarantined")


def summarize_artifact(rules: RuleSet) -> ArtifactSummary:
    locations = list(_locations(rules))
    return ArtifactSummary(
        version=rules.version,
        client_code=_text(rules.meta.get("clientCode")),
        environment=_text(rules.meta.get("environment")),
        generated_at=rules.generated_at,
        global_mbox=rules.global_mbox,
        geo_targeting_enabled=rules.geo_targeting_enabled,
        response_tokens=sorted(rules.response_tokens),
        rules=sum(location.rules for location in locations),
        activities=_activities(rules),
        locations=locations,
        unusable_rules=[
            UnusableRuleSummary(f"{one.location_type} {one.location}", one.position, one.reason)
            for one in rules.unusable
        ],
    )


def _locations(rules: RuleSet) -> Iterator[LocationSummary]:
    for kind, known, local, remote in (
        ("mbox", rules.mboxes, rules.local_mboxes, rules.remote_mboxes),
        ("view", rules.views, rules.local_views, rules.remote_views),
    ):
        for name in dict.fromkeys([*known, *sorted(local), *remote]):
            count = len(known[name].rules) if name in known else 0
            yield LocationSummary(kind, name, count, name in remote or name not in local)


def _activities(rules: RuleSet) -> list[ActivitySummary]:
    activities: dict[str, ActivitySummary] = {}
    experiences: dict[tuple[Any, ...], ExperienceSummary] = {}
    for location, rule in _every_rule(rules):
        meta = rule.meta
        activity = activities.get(rule.activity_id)
        if activity is None:
            activity = activities[rule.activity_id] = ActivitySummary(
                meta.get("activity.id"),
                _text(meta.get("activity.name")),
                _text(meta.get("activity.type")),
                [],
            )
        made = _experience(rule, meta)
        key = (rule.activity_id, str(made.id), made.share, made.audience, *made.property_tokens)
        experience = experiences.setdefault(key, made)
        if experience is made:
            activity.experiences.append(made)
        _add(experience.locations, location)
        _add(experience.offers, _text(meta.get("offer.name")))
    return list(activities.values())


def _every_rule(rules: RuleSet) -> Iterator[tuple[str, CompiledRule]]:
    for kind, known in (("mbox", rules.mboxes), ("view", rules.views)):
        for name, location in known.items():
            for rule in location.rules:
                yield f"{kind} {name}", rule


def _experience(rule: CompiledRule, meta: dict[str, Any]) -> ExperienceSummary:
    low, high = display_window(rule.low, rule.high)
    _, others = split_window(rule.condition)
    return ExperienceSummary(
        id=meta.get("experience.id"),
        name=_text(meta.get("experience.name")),
        share=round(max(0.0, high - low), 4),
        audience=describe_audience(others),
        property_tokens=sorted(rule.tokens),
        locations=[],
        offers=[],
    )


def _add(names: list[str], name: str | None) -> None:
    if name is not None and name not in names:
        names.append(name)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
