"""Check of event tokens: whether Adobe knows them."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET

from targetry.activities.compile.activity_set import ActivitySet
from targetry.activities.model.finding import Finding


def derived_tokens(activities: ActivitySet) -> Iterator[Finding]:
    """Find the first event token of each live activity that Adobe does not know (TA008)."""
    for index, activity in enumerate(activities.activities):
        found = next(_derived(activities, index), None) if activity.state == "live" else None
        if found is not None:
            path, owner = found
            yield activities.finding(
                "TA008",
                path,
                f"Adobe's Delivery API does not know the derived event token of the {owner}",
                hint="give it a token of Adobe, or count events by an edge",
            )


def _derived(activities: ActivitySet, index: int) -> Iterator[tuple[str, str]]:
    """Yield path and kind of each part of an activity with a derived token."""
    activity, path = activities.activities[index], f"activities[{index}]"
    for number, experience in enumerate(activity.experiences):
        inner = f"{path}.experiences[{number}]"
        for place, offer in enumerate(experience.offers):
            at = f"{inner}.offers[{place}]"
            if offer.token is UNSET and offer.options is None:
                yield at, "offer"
            owners = ((at, offer.metrics), (inner, experience.metrics), (path, activity.metrics))
            owner, metrics = next(
                (one for one in owners if one[1] is not None),
                ("defaults", activities.settings.defaults.metrics),
            )
            for position, metric in enumerate(metrics or ()):
                if metric.token is None:
                    yield f"{owner}.metrics[{position}]", "metric"
