"""Clicks, orders and revenue of each experience over time, from a ledger's events.

Unlike the sums, a timeline is read from events, so its time is bounded: if all events take too
long, the latest ones are read.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from targetry.ledger.schema import MICROS, is_event

LONGEST_S: Final = 2.0
FALLBACK_EVENTS: Final = 50_000
MOST_STEPS: Final = 48

_MINUTE: Final = 60_000
_STEPS_MS: Final = tuple(minutes * _MINUTE for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440))
_LONGEST_MS: Final = MOST_STEPS * _STEPS_MS[-1]
_INSTRUCTIONS: Final = 10_000  # of SQLite, between two looks at the clock
_LAST: Final = "SELECT max(seq) FROM event"
_RECENT: Final = (
    f"SELECT * FROM event WHERE seq > :after AND {is_event()} AND timestamp_ms BETWEEN :from AND :to"
)
_PERIOD: Final = f"SELECT min(timestamp_ms), max(timestamp_ms) FROM ({_RECENT})"
# An order counts for the visitor's experiences, once by its id, as in the sums.
_FIGURES: Final = f"""
    WITH recent AS ({_RECENT}), hit AS (
        SELECT activity_id, experience_id, visitor, timestamp_ms, kind = 'click' AS clicks, 0 AS orders, 0 AS units,
            0 AS micros
        FROM recent WHERE kind != 'order' AND activity_id != '' AND experience_id != ''
        UNION ALL
        SELECT activity_id, experience_id, bought.visitor, at_ms, 0, 1, bought.units, bought.micros
        FROM purchase AS bought JOIN participation AS part USING (visitor, activity_id)
        WHERE experience_id IS NOT NULL AND first_ms <= at_ms AND at_ms BETWEEN :from AND :to
    )
    SELECT activity_id, experience_id, (timestamp_ms - :from) / :step,
        count(DISTINCT visitor), total(clicks), total(orders), total(units) + total(micros) / {MICROS}.0
    FROM hit GROUP BY 1, 2, 3
"""

Period = Callable[[dict[str, int]], Sequence[int | None]]
"""Returns the times of the first and the last event above `after` in `from` to `to`, or None."""

Figures = Callable[[dict[str, int]], Iterable[Sequence[Any]]]
"""Returns activity, experience, number of the step, and the fields of `StepFigures` for the steps
of length `step` in `from` to `to`."""


class StepFigures(msgspec.Struct, frozen=True):
    """Figures of an experience in one step: its active visitors, and what they did."""

    visitors: int
    clicks: float
    orders: float
    revenue: float


class Timeline(msgspec.Struct, frozen=True):
    """Figures of `steps` steps of `step_ms` from `from_ms` (epoch ms) on.

    `figures` has the steps with events by activity, experience, and number of the step.
    `is_complete` says that it counts all events of its time, not the latest `FALLBACK_EVENTS`.
    """

    from_ms: int
    step_ms: int
    steps: int
    figures: dict[str, dict[str, dict[int, StepFigures]]]
    is_complete: bool = True


def read_timeline(
    connection: sqlite3.Connection,
    now_ms: int,
    *,
    longest_s: float = LONGEST_S,
    fallback_events: int = FALLBACK_EVENTS,
) -> Timeline | None:
    """Return the timeline up to a time (epoch ms), None without events in the 48 days before it.

    Args:
        connection: The database.
        now_ms: The end of the time.
        longest_s: Time in which all events are read, or else the latest `fallback_events`.
        fallback_events: Their number.

    Raises:
        sqlite3.Error: The database cannot be read.
    """
    run = connection.execute

    def period(bounds: dict[str, int]) -> Sequence[int | None]:
        found: Sequence[int | None] = run(_PERIOD, bounds).fetchone()
        return found

    def figures(steps: dict[str, int]) -> Iterable[Sequence[Any]]:
        return run(_FIGURES, steps)

    until, is_late = time.monotonic() + longest_s, False

    def stop() -> bool:
        nonlocal is_late
        is_late = time.monotonic() > until
        return is_late

    connection.set_progress_handler(stop, _INSTRUCTIONS)
    try:
        return build_timeline(now_ms, period, figures)
    except sqlite3.OperationalError:
        if not is_late:
            raise
    finally:
        connection.set_progress_handler(None, 0)
    (last,) = run(_LAST).fetchone()
    return build_timeline(now_ms, period, figures, after=last - fallback_events)


def build_timeline(
    now_ms: int, period: Period, figures: Figures, *, after: int | None = None
) -> Timeline | None:
    """Return the timeline that queries of a database give, None without events in its time.

    Args:
        now_ms: The end of the time, epoch milliseconds.
        period: Of the database.
        figures: Of the database.
        after: Number of the last event that is not read; None to read all.
    """
    bounds = {"from": now_ms - _LONGEST_MS, "to": now_ms, "after": -1 if after is None else after}
    first, last = period(bounds)
    if first is None or last is None:
        return None
    step = next((one for one in _STEPS_MS if (last - first) // one < MOST_STEPS - 1), _STEPS_MS[-1])
    start = max(first - first % step, bounds["from"])
    found: dict[str, dict[str, dict[int, StepFigures]]] = {}
    for activity, experience, place, *values in figures({**bounds, "from": start, "to": last, "step": step}):
        found.setdefault(activity, {}).setdefault(experience, {})[place] = StepFigures(*values)
    return Timeline(start, step, (last - start) // step + 1, found, after is None)
