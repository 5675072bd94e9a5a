"""Timeline of a ledger in PostgreSQL, by the definitions of `ledger.timeline`."""

from __future__ import annotations

from typing import Any, Final

from targetry.ledger.event import MAX_ORDER_TOTAL
from targetry.ledger.timeline import MOST_EVENTS, Timeline, build_timeline

_RECENT: Final = (
    f"SELECT * FROM targetry_event WHERE seq > (SELECT max(seq) FROM targetry_event) - {MOST_EVENTS} "
    "AND timestamp_ms BETWEEN %(from)s AND %(to)s"
)
_PERIOD: Final = f"SELECT min(timestamp_ms), max(timestamp_ms) FROM ({_RECENT}) AS recent"
_FIGURES: Final = f"""
    WITH recent AS ({_RECENT}), hit AS (
        SELECT activity_id, experience_id, visitor, timestamp_ms, (kind = 'click')::int AS clicks, 0 AS orders,
            0::float8 AS revenue
        FROM recent WHERE kind <> 'order' AND activity_id <> '' AND experience_id <> ''
        UNION ALL
        SELECT part.activity_id, part.experience_id, visitor, timestamp_ms, 0, 1,
            CASE WHEN abs(order_total) <= {MAX_ORDER_TOTAL} THEN order_total ELSE 0 END
        FROM recent JOIN targetry_participation AS part USING (visitor)
        WHERE kind = 'order' AND part.experience_id IS NOT NULL AND part.first_ms <= timestamp_ms
            AND recent.activity_id IN ('', part.activity_id)
            AND NOT EXISTS (
                SELECT 1 FROM targetry_event AS other
                WHERE other.order_id = recent.order_id AND other.order_id <> '' AND other.seq < recent.seq
            )
    )
    SELECT activity_id, experience_id, (timestamp_ms - %(from)s) / %(step)s,
        count(DISTINCT visitor), sum(clicks)::float8, sum(orders)::float8, sum(revenue)
    FROM hit GROUP BY 1, 2, 3
"""


def read_timeline(connection: Any, now_ms: int) -> Timeline | None:
    """Return the timeline up to a time (epoch ms), None without events in the 48 days before it.

    Raises:
        psycopg.Error: The database cannot be read.
    """
    run = connection.execute
    return build_timeline(
        now_ms,
        lambda bounds: run(_PERIOD, bounds).fetchone(),
        lambda steps: run(_FIGURES, steps),
    )
