"""Random streams of events: ids that differ little, ties in time, odd amounts, repeated ids."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec
from hypothesis import strategies as st

from support.ledger import event
from targetry.ledger.event import LedgerEvent

DAY_MS: Final = 86_400_000
CLOCK_CHANGES: Final = [
    int(datetime.fromisoformat(time).timestamp()) * 1000
    for time in ("1970-01-04T00Z", "2026-03-29T01Z", "2026-04-04T15Z", "2026-10-24T21Z", "2026-11-01T05Z")
]
"""Times (epoch ms), at all but the first of which the clocks of a time zone change."""

# Ids that a database may confuse: by case, normal form, numeric value, spaces, text after a NUL.
_ALIKE: Final = ("A", "a", "\u00e9", "e\u0301", "1", "01", "1.0", " 1", "x\0y", "x\0z", "%", "_")
_VISITORS: Final = ("ada", "bob", "eve", *_ALIKE)
_ACTIVITIES: Final = ("2", *_ALIKE, "order 1")
_EXPERIENCES: Final = ("0", *_ALIKE)
_ORDERS: Final = ("B", *_ALIKE, "event 1", "order A")
_TOTALS: Final = (
    0.0,
    -0.0,
    0.1,
    19.99,
    -3.0,
    1e12,
    -1e12,
    1.0000001e12,
    1e308,
    -1e308,
    5e-324,
    123456.789012,
)
_FACTS: Final = (
    *({"browser": value} for value in (*_ALIKE[:8], "", "null", '"\\')),
    {},
    {"browser": "a", "plan": ""},
    {"plan": "pro"},
)


@st.composite
def _streams(draw: Any, times: st.SearchStrategy[int], max_size: int) -> list[LedgerEvent]:
    def pool(*always: Any, others: tuple[Any, ...], most: int) -> st.SearchStrategy[Any]:
        """Return a strategy of a few values, so that many events share them."""
        found = draw(st.lists(st.sampled_from(others), min_size=1, max_size=most, unique_by=repr))
        return st.sampled_from([*always, *found])

    fields = st.tuples(
        st.sampled_from(["impression", "display", "click", "order"]),
        pool(others=_VISITORS, most=3),
        pool("1", "", others=_ACTIVITIES, most=1),
        pool("", others=_EXPERIENCES, most=2),
        times,
        pool(None, "", others=_ORDERS, most=2),
        pool(None, others=_TOTALS, most=3),
        pool(None, others=_FACTS, most=3),
    )
    return [
        event(
            f"{n:03}",
            kind,
            visitor,
            at,
            activity_id=activity,
            experience_id=experience,
            order_id=order_id,
            order_total=total,
            facts=facts,
        )
        for n, (kind, visitor, activity, experience, at, order_id, total, facts) in enumerate(
            draw(st.lists(fields, max_size=max_size))
        )
    ]


def event_streams(*, days: int = 1, max_size: int = 24) -> st.SearchStrategy[list[LedgerEvent]]:
    """Return a strategy of events with different ids, of the activity 1 and another one.

    Args:
        days: The number of days, in each of which the events are within some milliseconds.
        max_size: The largest number of events.
    """
    day = st.integers(0, days - 1).map(lambda number: number * DAY_MS)
    return _streams(st.builds(int.__add__, st.integers(1000, 1006), day), max_size)


def streams_at_clock_changes() -> st.SearchStrategy[list[LedgerEvent]]:
    """Return a strategy of events in the days around a time at which the clocks of a zone change.

    Each is within some milliseconds of a quarter of an hour.
    """
    near = st.builds(lambda quarters, ms: quarters * 900_000 + ms, st.integers(-200, 200), st.integers(-3, 3))
    return st.sampled_from(CLOCK_CHANGES).flatmap(
        lambda change: _streams(st.builds(int.__add__, near, st.just(change)), 24)
    )


@st.composite
def recordings(draw: Any, events: list[LedgerEvent], *, most: int) -> list[list[LedgerEvent]]:
    """Return the events in any order, some of them again, in at most `most` pieces.

    An event that comes again has the same id and can have other content.
    """
    order = draw(st.permutations(events))
    if order:
        again = st.builds(_with_id, st.sampled_from(events), st.sampled_from(events))
        order = [*order, *draw(st.lists(again, max_size=4))]
    cuts = sorted(draw(st.lists(st.integers(0, len(order)), max_size=most - 1)))
    return [order[start:end] for start, end in zip([0, *cuts], [*cuts, len(order)], strict=True)]


def _with_id(one: LedgerEvent, other: LedgerEvent) -> LedgerEvent:
    return msgspec.structs.replace(other, id=one.id)
