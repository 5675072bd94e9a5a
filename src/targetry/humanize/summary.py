"""Summary of an artifact: activities with their experiences, locations, and unusable rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from targetry.device.activities import ArtifactActivity, activities_of, covered_share, text_of
from targetry.device.ruleset import CompiledRule, RuleSet, split_window
from targetry.humanize.audience import describe_audience


class ExperienceSummary(msgspec.Struct, rename="camel"):
    """An experience for one audience, with its locations and the names of its offers.

    `share` is the percentage of the audience that the artifact gives it to.
    """

    id: Any
    name: str | None
    share: float
    audience: str
    property_tokens: list[str]
    locations: list[str]
    offers: list[str]


class ActivitySummary(msgspec.Struct, rename="camel"):
    """An activity; `type` is `ab` or `landing` (experience targeting)."""

    id: Any
    name: str | None
    type: str | None
    experiences: list[ExperienceSummary]


class LocationSummary(msgspec.Struct, rename="camel"):
    """A location; `type` is `mbox` or `view`.

    `is_remote`: some or all of its activities are decided by the Delivery API only.
    """

    type: str
    name: str
    rules: int
    is_remote: bool


class UnusableRuleSummary(msgspec.Struct, rename="camel"):
    """A rule that never matches, with the cause."""

    location: str
    position: int
    reason: str


class ArtifactSummary(msgspec.Struct, rename="camel"):
    """An artifact in the form that `targetry artifact -o json` prints.

    `rules` counts the usable rules.
    """

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
    """Summarize an artifact; reads every rule."""
    locations = list(_locations(rules))
    return ArtifactSummary(
        version=rules.version,
        client_code=text_of(rules.meta, "clientCode"),
        environment=text_of(rules.meta, "environment"),
        generated_at=rules.generated_at,
        global_mbox=rules.global_mbox,
        geo_targeting_enabled=rules.geo_targeting_enabled,
        response_tokens=sorted(rules.response_tokens),
        rules=sum(location.rules for location in locations),
        activities=[_activity(activity) for activity in activities_of(rules)],
        locations=locations,
        unusable_rules=[
            UnusableRuleSummary(f"{rule.location_type} {rule.location}", rule.position, rule.reason)
            for rule in rules.unusable
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


def _activity(activity: ArtifactActivity) -> ActivitySummary:
    experiences: dict[tuple[Any, ...], ExperienceSummary] = {}
    for location_type, location, rule in activity.rules:
        meta = rule.meta
        new = _experience(rule, meta)
        key = (str(new.id), new.share, new.audience, *new.property_tokens)
        experience = experiences.setdefault(key, new)
        _append_new(experience.locations, f"{location_type} {location}")
        _append_new(experience.offers, text_of(meta, "offer.name"))
    return ActivitySummary(activity.id, activity.name, activity.type, list(experiences.values()))


def _experience(rule: CompiledRule, meta: dict[str, Any]) -> ExperienceSummary:
    _, others = split_window(rule.condition)
    return ExperienceSummary(
        id=meta.get("experience.id"),
        name=text_of(meta, "experience.name"),
        share=covered_share([rule.percent_window]),
        audience=describe_audience(others),
        property_tokens=sorted(rule.tokens),
        locations=[],
        offers=[],
    )


def _append_new(names: list[str], name: str | None) -> None:
    if name is not None and name not in names:
        names.append(name)
