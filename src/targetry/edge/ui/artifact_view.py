"""View of an artifact: activities with split and audiences, locations, unusable rules."""

from __future__ import annotations

from typing import Final

import msgspec

from targetry.edge.artifacts.registry import LoadedArtifact
from targetry.humanize.kinds import describe_activity_type
from targetry.humanize.summary import (
    ActivitySummary,
    LocationSummary,
    UnusableRuleSummary,
    summarize_artifact,
)
from targetry.ledger.event import ActivityDescription

COLORS: Final = 8
_ACTIVITIES: Final = 100
_EXPERIENCES: Final = 30
_LOCATIONS: Final = 200


class BarSegment(msgspec.Struct, frozen=True):
    """Segment of the bar of a split; start and width in percent."""

    start: float
    width: float
    color: int
    name: str


class ExperienceView(msgspec.Struct, frozen=True):
    """Experience. In an activity without a split `share` is empty and `color`, the bar's, None."""

    name: str
    share: str
    color: int | None
    audience: str
    where: list[str]
    properties: list[str]


class ActivityView(msgspec.Struct, frozen=True):
    """Activity with its experiences; `more` counts those left out."""

    name: str
    id: str
    kind: str
    bar: list[BarSegment]
    experiences: list[ExperienceView]
    more: int


class ArtifactView(msgspec.Struct, frozen=True):
    """Artifact with its activities and locations; the `more_…` fields count those left out."""

    name: str
    client: str
    environment: str
    generated_at: str
    rules: int
    activities: list[ActivityView]
    more_activities: int
    locations: list[LocationSummary]
    more_locations: int
    quarantined: list[UnusableRuleSummary]


def artifact_view(artifact: LoadedArtifact) -> ArtifactView:
    """Return the view of an artifact; the cost grows with its rules."""
    described = summarize_artifact(artifact.rules)
    return ArtifactView(
        name=artifact.name,
        client=artifact.client,
        environment=artifact.environment,
        generated_at=described.generated_at or "",
        rules=described.rules,
        activities=[
            _activity(one, artifact.activities.get(str(one.id))) for one in described.activities[:_ACTIVITIES]
        ],
        more_activities=max(0, len(described.activities) - _ACTIVITIES),
        locations=described.locations[:_LOCATIONS],
        more_locations=max(0, len(described.locations) - _LOCATIONS),
        quarantined=described.unusable_rules[:_LOCATIONS],
    )


def _activity(described: ActivitySummary, known: ActivityDescription | None) -> ActivityView:
    bar = _bar(known)
    colors = {str(one.id): place % COLORS for place, one in enumerate(known.experiences)} if known else {}
    return ActivityView(
        name=described.name if described.name is not None else f"activity {described.id}",
        id="" if described.id is None else str(described.id),
        kind=describe_activity_type(described.type),
        bar=bar,
        experiences=[
            ExperienceView(
                name=one.name if one.name is not None else f"experience {one.id}",
                share=f"{one.share:g} %" if bar else "",
                color=colors.get(str(one.id)) if bar else None,
                audience=one.audience,
                where=[place.removeprefix("mbox ") for place in one.locations],
                properties=one.property_tokens,
            )
            for one in described.experiences[:_EXPERIENCES]
        ],
        more=max(0, len(described.experiences) - _EXPERIENCES),
    )


def _bar(known: ActivityDescription | None) -> list[BarSegment]:
    """Return the segments of a split, none without one; overlapping windows are scaled to 100 %."""
    if known is None:
        return []
    parts = [
        (place, one, one.share)
        for place, one in enumerate(known.experiences[:_EXPERIENCES])
        if one.share is not None
    ]
    scale = 100 / max(100.0, sum(share for _, _, share in parts))
    pieces, start = [], 0.0
    for place, one, share in parts:
        width = round(share * scale, 3)
        pieces.append(
            BarSegment(round(start, 3), width, place % COLORS, f"{one.name or one.id}: {share:g} %")
        )
        start += width
    return pieces
