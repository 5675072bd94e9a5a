"""Sums of a ledger's events: visitors, conversions and orders of each experience.

The triggers of `schema` keep the sums up to date by these definitions:

- A visitor belongs to the experience of the first impression, so that the split stays random. An
  impression is content that was returned (`impression`) or displayed (`display`).
- A visitor converts with a click or an order at or after the first impression of the activity, at
  most once.
- An order counts once for an activity, by its order id: reloading a confirmation page makes no
  second order. An order without an activity counts for every activity of its visitor, as in Target.

The sums do not depend on the order of the events.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from typing import Final

import msgspec

from targetry.ledger.schema import MICROS

_EXPERIENCES: Final = (
    "SELECT activity_id, experience_id, impressions, visitors, entered, conversions, orders, units, micros, unusable "
    "FROM experience_sum WHERE impressions > 0 OR visitors > 0"
)
_ACTIVITIES: Final = (
    "SELECT activity_id, switched, outside FROM activity_sum WHERE switched > 0 OR outside > 0"
)
_MAX_COUNT: Final = 2**53


class ExperienceSums(msgspec.Struct):
    """Sums of an experience.

    `entered` counts the visitors whose first impression is not older than the activity's current
    shares. `unusable_totals` counts the orders whose total is not in `revenue`, because it is not a
    number or is out of range.
    """

    visitors: int = 0
    entered: int = 0
    impressions: int = 0
    conversions: int = 0
    orders: int = 0
    revenue: float = 0.0
    unusable_totals: int = 0


class ActivitySums:
    """Sums of an activity.

    `switched` counts the visitors with impressions of several experiences, `outside` those with a
    click or an order but none at or after an impression. Visitors `outside` are in no other sum.
    """

    def __init__(self) -> None:
        self.experiences: defaultdict[str, ExperienceSums] = defaultdict(ExperienceSums)
        self.switched = self.outside = 0


class Period(msgspec.Struct, frozen=True, rename="camel"):
    """Times of a ledger's first and last event (epoch ms), and the number of removed events."""

    from_ms: int
    to_ms: int
    removed: int


def read_sums(connection: sqlite3.Connection) -> dict[str, ActivitySums]:
    """Return the sums in a database of the current format, by activity id.

    Raises:
        sqlite3.Error: The database cannot be read.
    """
    found: defaultdict[str, ActivitySums] = defaultdict(ActivitySums)
    for activity_id, experience_id, *numbers in connection.execute(_EXPERIENCES):
        impressions, visitors, entered, conversions, orders, units, micros, unusable = map(_as_int, numbers)
        found[activity_id].experiences[experience_id] = ExperienceSums(
            visitors=visitors,
            entered=min(entered, visitors),
            impressions=impressions,
            conversions=min(conversions, visitors),
            orders=orders,
            revenue=(units * MICROS + micros) / MICROS,
            unusable_totals=unusable,
        )
    for activity_id, switched, outside in connection.execute(_ACTIVITIES):
        found[activity_id].switched, found[activity_id].outside = _as_int(switched), _as_int(outside)
    return dict(found)


def _as_int(value: object) -> int:
    """Return a number within the bounds of a count; 0 for a value that no trigger writes."""
    return (
        max(-_MAX_COUNT, min(_MAX_COUNT, int(value)))
        if isinstance(value, int | float) and value == value
        else 0
    )
