"""Clicks, orders and revenue of each experience over time, from a ledger's latest events.

Unlike the sums, a timeline is read from events, so their number is bounded.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from targetry.ledger.event import MAX_ORDER_TOTAL
from targetry.ledger.schema import is_event

MOST_EVENTS: Final = 50_000
MOST_STEPS: Final = 48

_MINUTE: Final = 60_000
_STEPS_MS: Final = tuple(minutes * _MINUTE for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440))
_LONGEST_MS: Final = MOST_STEPS * _STEPS_MS[-1]
_RECENT: Final = (
    f"SELECT * FROM event WHERE seq > (SELECT max(seq) FROM event) - {MOST_EVENTS} AND {is_event()} "
    "AND timestamp_ms BETWEEN :from AND :to"
)
_PERIOD: Final = f"SELECT min(timestamp_ms), max(timestamp_ms) FROM ({_RECENT})"
_USABLE: Final = (
    f"CASE WHEN typeof(order_total) IN ('real', 'integer') AND abs(order_total) <= {MAX_ORDER_TOTAL} "
    "THEN order_total ELSE 0 END"
)
# An order counts for the visitor's experiences, once by its id.
_FIGURES: Final = f"""
    WITH recent AS ({_RECENT}), hit AS (
        SELECT activity_id, experience_id, visitor, timestamp_ms, kind = 'click' AS clicks, 0 AS orders, 0 AS revenue
        FROM recent WHERE kind != 'order' AND activity_id != '' AND experience_id != ''
        UNION ALL
        SELECT part.activity_id, part.experience_id, visitor, timestamp_ms, 0, 1, {_USABLE}
        FROM recent JOIN participation AS part USING (visitor)
        WHERE kind = 'order' AND part.experience_id IS NOT NULL AND part.first_ms <= timestamp_ms
            AND recent.activity_id IN ('', part.activity_id)
            AND NOT EXISTS (
                SELECT 1 FROM event AS other
                WHERE other.order_id = recent.order_id AND other.order_id != '' AND other.seq < recent.seq
            )
    )
    SELECT activity_id, experience_id, (timestamp_ms - :from) / :step,
        count(DISTINCT visitor), total(clicks), total(orders), total(revenue)
    FROM hit GROUP BY 1, 2, 3
"""


class StepFigures(msgspec.Struct, frozen=True):
    """Figures of an experience in one step: its active visitors, and what they did."""

    visitors: int
    clicks: float
    orders: float
    revenue: float


class Timeline(msgspec.Struct, frozen=True):
    """Figures of `steps` steps of `step_ms` from `from_ms` (epoch ms) on.

    `figures` has the steps with events by activity, experience, and number of the step.
    """

    from_ms: int
    step_ms: int
    steps: int
    figures: dict[str, dict[str, dict[int, StepFigures]]]


def read_timeline(connection: sqlite3.Connection, now_ms: int) -> Timeline | None:
    """Return the timeline up to a time (epoch ms), None without events in the 48 days before it.

    Raises:
        sqlite3.Error: The database cannot be read.
    """
    run = connection.execute
    return build_timeline(
        now_ms,
        lambda bounds: run(_PERIOD, bounds).fetchone(),
        lambda steps: run(_FIGURES, steps),
    )


def build_timeline(
    now_ms: int,
    period: Callable[[dict[str, int]], Sequence[int | None]],
    figures: Callable[[dict[str, int]], Iterable[Sequence[Any]]],
) -> Timeline | None:
    """Return the timeline that queries of a database give, None without events in its time.

    Args:
        now_ms: The end of the time, epoch milliseconds.
        period: Returns the times of the first and the last event in `from` to `to`, or None.
        figures: Returns activity, experience, number of the step, and the fields of `StepFigures`
            for steps of length `step` in `from` to `to`.
    """
    first_ms = now_ms - _LONGEST_MS
    first, last = period({"from": first_ms, "to": now_ms})
    if first is None or last is None:
        return None
    step = next((one for one in _STEPS_MS if (last - first) // one < MOST_STEPS - 1), _STEPS_MS[-1])
    start = max(first - first % step, first_ms)
    found: dict[str, dict[str, dict[int, StepFigures]]] = {}
    for activity, experience, place, *values in figures({"from": start, "to": last, "step": step}):
        found.setdefault(activity, {}).setdefault(experience, {})[place] = StepFigures(*values)
    return Timeline(start, step, (last - start) // step + 1, found)
