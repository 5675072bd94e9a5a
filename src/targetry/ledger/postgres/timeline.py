"""Timeline of a ledger in PostgreSQL, by the definitions of `ledger.timeline`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

from targetry._runtime.lazy_import import importing_extra
from targetry.ledger.schema import MICROS
from targetry.ledger.timeline import FALLBACK_EVENTS, LONGEST_S, Timeline, build_timeline

_LAST: Final = "SELECT max(seq) FROM targetry_event"
_RECENT: Final = (
    "SELECT * FROM targetry_event WHERE seq > %(after)s AND timestamp_ms BETWEEN %(from)s AND %(to)s"
)
_PERIOD: Final = f"SELECT min(timestamp_ms), max(timestamp_ms) FROM ({_RECENT}) AS recent"
_FIGURES: Final = f"""
    WITH recent AS ({_RECENT}), hit AS (
        SELECT activity_id, experience_id, visitor, timestamp_ms, (kind = 'click')::int AS clicks, 0 AS orders,
            0::bigint AS micros
        FROM recent WHERE kind <> 'order' AND activity_id <> '' AND experience_id <> ''
        UNION ALL
        SELECT activity_id, experience_id, visitor, at_ms, 0, 1, bought.micros
        FROM targetry_purchase AS bought JOIN targetry_participation AS part USING (visitor, activity_id)
        WHERE experience_id IS NOT NULL AND first_ms <= at_ms AND at_ms BETWEEN %(from)s AND %(to)s
    )
    SELECT activity_id, experience_id, (timestamp_ms - %(from)s) / %(step)s,
        count(DISTINCT visitor), sum(clicks)::float8, sum(orders)::float8,
        sum(micros / {MICROS})::float8 + sum(micros %% {MICROS})::float8 / {MICROS}
    FROM hit GROUP BY 1, 2, 3
"""


def read_timeline(
    connection: Any,
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
        psycopg.Error: The database cannot be read.
    """
    with importing_extra("postgres"):
        from psycopg.errors import QueryCanceled

    run = connection.execute

    def period(bounds: dict[str, int]) -> Sequence[int | None]:
        found: Sequence[int | None] = run(_PERIOD, bounds).fetchone()
        return found

    def figures(steps: dict[str, int]) -> Sequence[Sequence[Any]]:
        rows: Sequence[Sequence[Any]] = run(_FIGURES, steps).fetchall()
        return rows

    with contextlib.suppress(QueryCanceled), _time_limit(connection, longest_s):
        return build_timeline(now_ms, period, figures)
    (last,) = run(_LAST).fetchone()
    return build_timeline(now_ms, period, figures, after=last - fallback_events)


@contextlib.contextmanager
def _time_limit(connection: Any, longest_s: float) -> Iterator[None]:
    """Limit the time of each statement in the block, which only reads."""
    with connection.transaction(force_rollback=True):  # which ends the limit, too
        connection.execute(f"SET LOCAL statement_timeout = {max(1, round(longest_s * 1000))}")
        yield
