"""Queries for the kept sums of a ledger in PostgreSQL, by the definitions of `ledger.sums`."""

from __future__ import annotations

from typing import Final

from targetry.ledger.event import MAX_ORDER_TOTAL, NEW
from targetry.ledger.postgres.counting import COHORT_KEY, HAS_CONVERTED, SUMS
from targetry.ledger.schema import DAY_MS, MICROS
from targetry.ledger.sums import AMOUNT_BINS, SESSION_MS

COHORTS: Final = f"""
    SELECT activity_id, experience_id, day, entered::int, visitors, conversions, orders,
        div(micros, {MICROS}), mod(micros, {MICROS}), unusable
    FROM targetry_cohort_sum WHERE visitors > 0
"""
"""Query for the sums of each cohort."""

_ENTERED_BUYERS: Final = """
    FROM targetry_participation AS own LEFT JOIN targetry_counted USING (activity_id)
    WHERE orders > 0 AND experience_id IS NOT NULL AND first_ms >= coalesce(since_ms, 0)
"""

# Sums of numerics are exact, so they do not depend on the order of the rows.
_MONEY: Final = """
        sum(orders)::float8, sum(orders * orders)::float8, sum(amount)::float8 / 1e6,
        (sum(amount * amount) / 1e12)::float8, sum(amount * orders)::float8 / 1e6, max(amount)::float8 / 1e6,
        count(*) FILTER (WHERE micros > %(cap)s::numeric),
        coalesce(sum(micros - %(cap)s::numeric) FILTER (WHERE micros > %(cap)s::numeric), 0)::float8 / 1e6
"""
_AMOUNT: Final = "orders, micros, least(micros, %(cap)s::numeric) AS amount"
# With OFFSET, an amount is computed once, and the planner expects few groups, so it sorts none.
_EACH_BUYER: Final = (
    f"activity_id, experience_id, first_ms / {DAY_MS} AS day, {_AMOUNT} {_ENTERED_BUYERS} OFFSET 0"
)
BUYERS: Final = f"""
    SELECT activity_id, experience_id, day, count(*), {_MONEY} FROM (SELECT {_EACH_BUYER}) AS buyer GROUP BY 1, 2, 3
"""
"""Query for the sums of the buyers of each cohort; `cap` is in micros, NULL for none."""

AMOUNTS: Final = f"""
    SELECT activity_id, experience_id, floor({AMOUNT_BINS} * log(micros::float8 / {MICROS}))::int, count(*)
    {_ENTERED_BUYERS} AND micros > 0 GROUP BY 1, 2, 3
"""
"""Query for the buyers of each experience by the bin of their revenue."""

VISITORS: Final = f"""
    SELECT own.activity_id, experience_id, first_ms / %(step)s::bigint,
        {HAS_CONVERTED}, own.orders, micros::float8 / {MICROS},
        history.has_acted IS NOT NULL, coalesce(history.has_acted, false), coalesce(history.orders, 0),
        coalesce(history.revenue, 0)
    FROM targetry_participation AS own LEFT JOIN targetry_counted USING (activity_id) LEFT JOIN LATERAL (
        SELECT bool_or(kind IN ('click', 'order')) AS has_acted, count(order_key) AS orders,
            sum(amount ORDER BY amount) AS revenue
        FROM (
            SELECT kind, CASE WHEN kind = 'order' THEN coalesce('order ' || nullif(order_id, ''), 'event ' || id) END
                AS order_key,
                max(CASE WHEN kind = 'order' AND abs(order_total) <= {MAX_ORDER_TOTAL} THEN order_total ELSE 0 END) AS amount
            FROM targetry_event WHERE targetry_event.visitor = own.visitor
                AND timestamp_ms BETWEEN first_ms - %(history)s::bigint AND first_ms - 1
            GROUP BY 1, 2
        ) AS past
    ) AS history ON true
    WHERE experience_id IS NOT NULL AND first_ms >= coalesce(since_ms, 0)
"""
"""Query for the visitors of each activity, with what they did in a period before.

The time of the first impression is in steps of `step` milliseconds.
"""

SUMS_OF_VISITORS: Final = f"""
    SELECT value, activity_id, experience_id, step, entered, count(*), count(*) FILTER (WHERE converted), sum(orders),
        div(sum(micros), {MICROS}), mod(sum(micros), {MICROS}), sum(unusable), count(*) FILTER (WHERE orders > 0), {_MONEY}
    FROM (
        SELECT {{value}} AS value, activity_id, experience_id, first_ms / %(step)s::bigint AS step,
            (first_ms >= coalesce(since_ms, 0))::int AS entered, {HAS_CONVERTED} AS converted, unusable, {_AMOUNT}
        FROM targetry_participation AS own LEFT JOIN targetry_counted USING (activity_id)
        WHERE experience_id IS NOT NULL OFFSET 0
    ) AS visitor GROUP BY 1, 2, 3, 4, 5
"""
"""Query for the sums of visitors by a value and the time of the first impression.

The time is in steps of `step` milliseconds.
"""

FACT: Final = "coalesce(facts ->> %(name)s, '') COLLATE \"C\""
"""Value of `SUMS_OF_VISITORS`: that of the fact `name`."""

VISIT: Final = f"""
    CASE WHEN EXISTS (
        SELECT 1 FROM targetry_event
        WHERE targetry_event.visitor = own.visitor AND timestamp_ms <= own.first_ms - {SESSION_MS}
    ) THEN 'returning' ELSE '{NEW}' END
"""
"""Value of `SUMS_OF_VISITORS`: whether visitors are new or returning."""

_WITH_SEGMENTS: Final = ", ".join(f"one.{name} - coalesce(named.{name}, 0) AS {name}" for name in SUMS)
# A cohort's visitors without the fact are those that are in none of its segments.
SEGMENT_COHORTS: Final = f"""
    SELECT value, activity_id, experience_id, day, entered::int, visitors, conversions, orders,
        div(micros, {MICROS}), mod(micros, {MICROS}), unusable
    FROM (
        SELECT value, {COHORT_KEY}, {", ".join(SUMS)} FROM targetry_segment_sum WHERE name = %(name)s
        UNION ALL
        SELECT '', {COHORT_KEY}, {_WITH_SEGMENTS}
        FROM targetry_cohort_sum AS one LEFT JOIN (
            SELECT {COHORT_KEY}, {", ".join(f"sum({name}) AS {name}" for name in SUMS)}
            FROM targetry_segment_sum WHERE name = %(name)s GROUP BY {COHORT_KEY}
        ) AS named USING ({COHORT_KEY})
    ) AS part WHERE visitors > 0
"""
"""Query for the sums of each cohort by the value of the fact `name`, which comes first."""

SEGMENT_BUYERS: Final = f"""
    SELECT value, activity_id, experience_id, day, count(*), {_MONEY}
    FROM (SELECT {FACT} AS value, {_EACH_BUYER}) AS buyer GROUP BY 1, 2, 3, 4
"""
"""Query for the sums of the buyers of each cohort by the value of the fact `name`."""

ACTIVITIES: Final = "SELECT activity_id, switched, outside FROM targetry_activity_sum"
"""Query for the visitors of each activity who switched or are outside."""

IMPRESSIONS: Final = (
    "SELECT activity_id, experience_id, sum(impressions)::bigint FROM targetry_impression_sum "
    "GROUP BY 1, 2 HAVING sum(impressions) > 0"
)
"""Query for the impressions of each experience."""
