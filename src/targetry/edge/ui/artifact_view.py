"""An artifact as a page shows it: activities with their split and audiences, locations, what is remote and what cannot be used."""

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
from targetry.ledger.event import Activity

COLOURS: Final = 8
_ACTIVITIES: Final = 100
_EXPERIENCES: Final = 30
_LOCATIONS: Final = 200


class Share(msgspec.Struct, frozen=True):
    """A piece of the bar: where it begins and how wide it is, in percent."""

    start: float
    width: float
    colour: int
    name: str


class ExperienceView(msgspec.Struct, frozen=True):
    """`share` is empty where no split decides. `colour` is that of the bar, None without one."""

    name: str
    share: str
    colour: int | None
    audience: str
    where: list[str]
    properties: list[str]


class ActivityView(msgspec.Struct, frozen=True):
    name: str
    id: str
    kind: str
    bar: list[Share]
    experiences: list[ExperienceView]
    more: int


class ArtifactView(msgspec.Struct, frozen=True):
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


def artifact_view(served: LoadedArtifact) -> ArtifactView:
    """Goes through all rules, so it is worth keeping."""
    told = summarize_artifact(served.rules)
    return ArtifactView(
        name=served.name,
        client=served.client,
        environment=served.environment,
        generated_at=told.generated_at or "",
        rules=told.rules,
        activities=[
            _activity(one, served.activities.get(str(one.id))) for one in told.activities[:_ACTIVITIES]
        ],
        more_activities=max(0, len(told.activities) - _ACTIVITIES),
        locations=told.locations[:_LOCATIONS],
        more_locations=max(0, len(told.locations) - _LOCATIONS),
        quarantined=told.unusable_rules[:_LOCATIONS],
    )


def _activity(told: ActivitySummary, known: Activity | None) -> ActivityView:
    bar = _bar(known)
    colours = {str(one.id): place % COLOURS for place, one in enumerate(known.experiences)} if known else {}
    return ActivityView(
        name=told.name if told.name is not None else f"activity {told.id}",
        id="" if told.id is None else str(told.id),
        kind=describe_activity_type(told.type),
        bar=bar,
        experiences=[
            ExperienceView(
                name=one.name if one.name is not None else f"experience {one.id}",
                share=f"{one.share:g} %" if bar else "",
                colour=colours.get(str(one.id)) if bar else None,
                audience=one.audience,
                where=[place.removeprefix("mbox ") for place in one.locations],
                properties=one.property_tokens,
            )
            for one in told.experiences[:_EXPERIENCES]
        ],
        more=max(0, len(told.experiences) - _EXPERIENCES),
    )


def _bar(known: Activity | None) -> list[Share]:
    """Empty where no split decides. Shares of more than the whole, which overlapping windows make, are made to fit."""
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
        pieces.append(Share(round(start, 3), width, place % COLOURS, f"{one.name or one.id}: {share:g} %"))
        start += width
    return pieces
