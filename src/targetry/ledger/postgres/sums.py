"""Queries for the sums of a ledger in PostgreSQL, by the definitions of `targetry.ledger.sums`."""

from __future__ import annotations

from typing import Final

from targetry.ledger.event import MAX_ORDER_TOTAL
from targetry.ledger.schema import DAY_MS, MICROS
from targetry.ledger.sums import AMOUNT_BINS

_IS_IMPRESSION: Final = "kind IN ('impression', 'display') AND activity_id <> '' AND experience_id <> ''"
_USABLE: Final = f"(order_total IS NOT NULL AND abs(order_total) <= {MAX_ORDER_TOTAL})"

PARTICIPATIONS: Final = f"""
WITH seen AS (
    SELECT DISTINCT ON (activity_id, visitor) activity_id, visitor, experience_id, timestamp_ms AS first_ms,
        id AS first_id
    FROM targetry_event WHERE {_IS_IMPRESSION} ORDER BY activity_id, visitor, timestamp_ms, id
), switched AS (
    SELECT activity_id, visitor FROM targetry_event WHERE {_IS_IMPRESSION}
    GROUP BY 1, 2 HAVING min(experience_id) <> max(experience_id)
), clicked AS (
    SELECT activity_id, visitor, max(timestamp_ms) AS last_ms FROM targetry_event
    WHERE kind = 'click' AND activity_id <> '' GROUP BY 1, 2
), purchase AS (
    SELECT DISTINCT ON (activity_id, order_key) activity_id, visitor, timestamp_ms, is_bound, order_total
    FROM (
        SELECT activity_id, visitor, timestamp_ms, id, true AS is_bound, order_total, order_id
        FROM targetry_event WHERE kind = 'order' AND activity_id <> ''
        UNION ALL
        SELECT seen.activity_id, visitor, timestamp_ms, id, false, order_total, order_id
        FROM targetry_event JOIN seen USING (visitor) WHERE kind = 'order' AND targetry_event.activity_id = ''
    ) AS made, LATERAL (
        SELECT CASE WHEN order_id <> '' THEN 'order ' || order_id ELSE 'event ' || id END AS order_key
    ) AS keyed
    ORDER BY activity_id, order_key, timestamp_ms, id
), bought AS (
    SELECT purchase.activity_id, purchase.visitor,
        max(timestamp_ms) AS last_ms, bool_or(is_bound) AS is_bound,
        count(*) FILTER (WHERE timestamp_ms >= first_ms) AS orders,
        coalesce(sum(round((order_total * {MICROS})::numeric)) FILTER (WHERE timestamp_ms >= first_ms AND {_USABLE}), 0)
            AS micros,
        count(*) FILTER (WHERE timestamp_ms >= first_ms AND order_total IS NOT NULL AND NOT {_USABLE}) AS unusable
    FROM purchase LEFT JOIN seen USING (activity_id, visitor) GROUP BY 1, 2
), participation AS (
    SELECT activity_id, visitor, experience_id, first_ms, first_id,
        coalesce(greatest(clicked.last_ms, bought.last_ms) >= first_ms, false) AS has_converted,
        clicked.last_ms IS NOT NULL OR coalesce(is_bound, false) AS has_acted,
        coalesce(orders, 0) AS orders, coalesce(micros, 0) AS micros, coalesce(unusable, 0) AS unusable
    FROM seen FULL JOIN clicked USING (activity_id, visitor) FULL JOIN bought USING (activity_id, visitor)
)
"""
"""Beginning of a query: a row for each visitor and activity."""

COHORTS: Final = f"""
SELECT activity_id, experience_id, first_ms / {DAY_MS}, (first_ms >= coalesce(shares_since_ms, 0))::int,
    count(*), count(*) FILTER (WHERE has_converted), sum(orders)::bigint,
    div(sum(micros), {MICROS}), sum(micros) %% {MICROS}, sum(unusable)::bigint,
    count(*) FILTER (WHERE orders > 0), sum(orders)::float8, sum(orders * orders)::float8,
    coalesce(sum(amount ORDER BY amount) FILTER (WHERE orders > 0), 0),
    coalesce(sum(amount * amount ORDER BY amount) FILTER (WHERE orders > 0), 0),
    coalesce(sum(amount * orders ORDER BY amount, orders) FILTER (WHERE orders > 0), 0),
    coalesce(max(amount) FILTER (WHERE orders > 0), 0),
    count(*) FILTER (WHERE whole > %(cap)s),
    coalesce(sum(whole - %(cap)s ORDER BY whole) FILTER (WHERE whole > %(cap)s), 0)
FROM (
    SELECT *, micros::float8 / {MICROS} AS whole, least(micros::float8 / {MICROS}, %(cap)s) AS amount
    FROM participation WHERE experience_id IS NOT NULL
) AS one LEFT JOIN targetry_activity ON targetry_activity.id = activity_id
GROUP BY 1, 2, 3, 4
"""
"""Rest of a query: the sums of each cohort, and from the eleventh column on those of its buyers."""

AMOUNTS: Final = f"""
SELECT activity_id, experience_id, floor({AMOUNT_BINS} * log(micros::float8 / {MICROS}))::int, count(*)
FROM participation LEFT JOIN targetry_activity ON targetry_activity.id = activity_id
WHERE experience_id IS NOT NULL AND orders > 0 AND micros > 0 AND first_ms >= coalesce(shares_since_ms, 0)
GROUP BY 1, 2, 3
"""
"""Rest of a query: the buyers of each experience by the bin of their revenue."""

ACTIVITIES: Final = """
SELECT activity_id, count(switched.visitor), count(*) FILTER (WHERE NOT has_converted AND has_acted)
FROM participation LEFT JOIN switched USING (activity_id, visitor) GROUP BY 1
"""
"""Rest of a query: the visitors of each activity who switched or are outside."""

IMPRESSIONS: Final = (
    f"SELECT activity_id, experience_id, count(*) FROM targetry_event WHERE {_IS_IMPRESSION} GROUP BY 1, 2"
)
"""Query for the impressions of each experience."""
