"""Aggregation of events into the visitors, conversions and orders of each experience.

A visitor belongs to the experience of the first impression, whatever is seen later, so that the split stays as random as
it was. An impression is content given (`impression`) or displayed (`display`). A visitor converts with a click or an order
at or after the first impression of the activity; several are one conversion.

An order counts once for an activity, by its order id: a confirmation page that is loaded again is no second order. One that
belongs to no activity counts for every activity that its visitor had been in, as an order in Target does.

Events may come in any order, and the result is the same to the last digit. The aggregation itself is in the triggers of
`ledger_schema`.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from targetry.ledger.event import Activity, Event
from targetry.ledger.schema import FIRST_FORMAT, MICROS, SUMS, UPGRADE

_FIELDS: Final = Event.__struct_fields__
_INSERT: Final = f"INSERT INTO event ({', '.join(_FIELDS)}) VALUES ({', '.join('?' * len(_FIELDS))})"
_DESCRIBE: Final = "INSERT OR IGNORE INTO activity (id, shares_since_ms) VALUES (?, ?)"
_EXPERIENCES: Final = (
    "SELECT activity_id, experience_id, impressions, visitors, entered, conversions, orders, units, micros, unusable "
    "FROM experience_sum WHERE impressions > 0 OR visitors > 0"
)
_ACTIVITIES: Final = (
    "SELECT activity_id, switched, outside FROM activity_sum WHERE switched > 0 OR outside > 0"
)
_MAX_COUNT: Final = 2**53


class ExperienceCount(msgspec.Struct):
    """Sums of an experience: `entered` are its visitors who came since the shares of the activity were last changed.

    `unusable_totals` are orders whose total is left out of `revenue`, since it is not a number or out of range.
    """

    visitors: int = 0
    entered: int = 0
    impressions: int = 0
    conversions: int = 0
    orders: int = 0
    revenue: float = 0.0
    unusable_totals: int = 0


class ActivityCount:
    """Sums of an activity: visitors that saw more than one experience (`switched`), and visitors that clicked or ordered,
    but not after an impression, and so did not convert (`outside`)."""

    def __init__(self) -> None:
        self.experiences: defaultdict[str, ExperienceCount] = defaultdict(ExperienceCount)
        self.switched = self.outside = 0


def tally(events: Iterable[Event], activities: Sequence[Activity] = ()) -> dict[str, ActivityCount]:
    """Return the sums by activity id; each event is given once, in any order.

    The events go through a temporary database, which is on the disk when it becomes large.
    """
    with contextlib.closing(sqlite3.connect("", isolation_level=None)) as connection:
        for statement in (*FIRST_FORMAT, *UPGRADE, *SUMS):
            connection.execute(statement)
        connection.execute("BEGIN")
        connection.executemany(_DESCRIBE, [(one.id, one.shares_since_ms) for one in activities])
        connection.executemany(_INSERT, map(msgspec.structs.astuple, events))
        return read_sums(connection)


def read_sums(connection: sqlite3.Connection) -> dict[str, ActivityCount]:
    """Return the sums that a database of the current format holds, by activity id."""
    found: defaultdict[str, ActivityCount] = defaultdict(ActivityCount)
    for activity_id, experience_id, *numbers in connection.execute(_EXPERIENCES):
        impressions, visitors, entered, conversions, orders, units, micros, unusable = map(_whole, numbers)
        found[activity_id].experiences[experience_id] = ExperienceCount(
            visitors=visitors,
            entered=min(entered, visitors),
            impressions=impressions,
            conversions=min(conversions, visitors),
            orders=orders,
            revenue=(units * MICROS + micros) / MICROS,
            unusable_totals=unusable,
        )
    for activity_id, switched, outside in connection.execute(_ACTIVITIES):
        found[activity_id].switched, found[activity_id].outside = _whole(switched), _whole(outside)
    return dict(found)


def _whole(value: object) -> int:
    """Return a number as the triggers write it, within the bounds of what can be counted; 0 for anything else."""
    return (
        max(-_MAX_COUNT, min(_MAX_COUNT, int(value)))
        if isinstance(value, int | float) and value == value
        else 0
    )
