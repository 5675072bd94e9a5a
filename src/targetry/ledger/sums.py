"""Sums of a ledger's events: visitors, conversions and orders of each experience.

The triggers of `schema` keep the sums up to date by these definitions:

- A visitor belongs to the experience of the first impression, so that the split stays random. An
  impression is content that was returned (`impression`) or displayed (`display`).
- A visitor converts with a click or an order at or after the first impression of the activity, at
  most once.
- An order counts once for an activity, by its order id: reloading a confirmation page makes no
  second order. An order without an activity counts for every activity of its visitor, as in Target.

The sums do not depend on the order of the events. They are kept for each cohort, the visitors of an
experience with one UTC day of the first impression.
"""

from __future__ import annotations

import math
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

import msgspec

from targetry.ledger.event import MAX_ORDER_TOTAL
from targetry.ledger.schema import COHORT_SUMS, DAY_MS, HAS_CONVERTED, MICROS, is_event

_IMPRESSIONS: Final = (
    "SELECT activity_id, experience_id, impressions FROM impression_sum WHERE impressions > 0"
)
_COHORTS: Final = (
    "SELECT activity_id, experience_id, day, entered, visitors, conversions, orders, units, micros, unusable "
    "FROM cohort_sum WHERE visitors > 0"
)
# Read from an index of the buyers; its order makes the result independent of that of the events.
_FULL: Final = f"(units + micros / {MICROS}.0)"
_AMOUNT: Final = f"min({_FULL}, :cap)"
_BUYER_SUMS: Final = (
    f"count(*), total(orders), total(orders * orders), total({_AMOUNT}), total({_AMOUNT} * {_AMOUNT}), "
    f"total({_AMOUNT} * orders), max({_AMOUNT}), total({_FULL} > :cap), total(max({_FULL} - :cap, 0))"
)
_BUYERS: Final = f"""
    SELECT participation.activity_id, experience_id, first_ms / {DAY_MS},
        {_BUYER_SUMS}
    FROM participation INDEXED BY buyer LEFT JOIN activity ON activity.id = participation.activity_id
    WHERE orders > 0 AND experience_id IS NOT NULL AND first_ms >= ifnull(shares_since_ms, 0)
    GROUP BY participation.activity_id, experience_id, first_ms / {DAY_MS}
"""
_AMOUNTS: Final = f"""
    SELECT participation.activity_id, experience_id, amount_bin({_FULL}), count(*)
    FROM participation INDEXED BY buyer LEFT JOIN activity ON activity.id = participation.activity_id
    WHERE orders > 0 AND experience_id IS NOT NULL AND first_ms >= ifnull(shares_since_ms, 0) AND {_FULL} > 0
    GROUP BY participation.activity_id, experience_id, amount_bin({_FULL})
"""
_HISTORY: Final = (
    "FROM event WHERE event.visitor = part.visitor "
    f"AND event.timestamp_ms BETWEEN part.first_ms - :history AND part.first_ms - 1 AND {is_event('event.')}"
)
_TOTAL: Final = (
    f"CASE WHEN typeof(order_total) IN ('real', 'integer') AND abs(order_total) <= {MAX_ORDER_TOTAL} "
    "THEN order_total ELSE 0 END"
)
# An order counts once by its id, as in the sums.
_ORDER_KEY: Final = "CASE WHEN order_id != '' THEN 'order ' || order_id ELSE 'event ' || event.id END"
_VISITORS: Final = f"""
    SELECT part.activity_id, experience_id, first_ms / {DAY_MS}, {HAS_CONVERTED.format(row="part.")}, orders, {_FULL},
        EXISTS (SELECT 1 {_HISTORY}),
        EXISTS (SELECT 1 {_HISTORY} AND kind IN ('click', 'order')),
        (SELECT count(DISTINCT {_ORDER_KEY}) {_HISTORY} AND kind = 'order'),
        (SELECT total(amount) FROM (
            SELECT max({_TOTAL}) AS amount {_HISTORY} AND kind = 'order' GROUP BY {_ORDER_KEY}
        ))
    FROM participation AS part LEFT JOIN activity ON activity.id = part.activity_id
    WHERE experience_id IS NOT NULL AND first_ms >= ifnull(shares_since_ms, 0)
"""
_ACTIVITIES: Final = (
    "SELECT activity_id, switched, outside FROM activity_sum WHERE switched > 0 OR outside > 0"
)
_COHORT: Final = "activity_id, experience_id, day, entered"
# A cohort's visitors without the fact are those that are in none of its segments.
_SEGMENT_COHORTS: Final = f"""
    SELECT value, {_COHORT}, {", ".join(COHORT_SUMS)} FROM segment_sum WHERE name = :name AND visitors > 0
    UNION ALL
    SELECT '', {_COHORT}, {", ".join(f"one.{name} - ifnull(named.{name}, 0)" for name in COHORT_SUMS)}
    FROM cohort_sum AS one LEFT JOIN (
        SELECT {_COHORT}, {", ".join(f"sum({name}) AS {name}" for name in COHORT_SUMS)}
        FROM segment_sum WHERE name = :name GROUP BY {_COHORT}
    ) AS named USING ({_COHORT})
    WHERE one.visitors > ifnull(named.visitors, 0)
"""
_SEGMENT_BUYERS: Final = f"""
    SELECT ifnull(CAST(json_extract(facts, :path) AS TEXT), ''), participation.activity_id, experience_id,
        first_ms / {DAY_MS}, {_BUYER_SUMS}
    FROM participation INDEXED BY buyer LEFT JOIN activity ON activity.id = participation.activity_id
    WHERE orders > 0 AND experience_id IS NOT NULL AND first_ms >= ifnull(shares_since_ms, 0) GROUP BY 1, 2, 3, 4
"""
_MAX_COUNT: Final = 2**53

AMOUNT_BINS: Final = 24
"""Bins of amounts per power of ten: bin n holds those from 10**(n/24) to 10**((n+1)/24)."""


class VisitorSums(NamedTuple):
    """Sums of a visitor of an activity, who entered by its current shares.

    `day` is the UTC day of the first impression, in days since 1970. The values `before` are those
    of the period before that impression, and `has_history` says that there is an event in it.
    """

    activity_id: str
    experience_id: str
    day: int
    has_converted: bool
    orders: int
    revenue: float
    has_history: bool
    converted_before: bool
    orders_before: int
    revenue_before: float


class Cohort(msgspec.Struct):
    """Sums of an experience's visitors by the day of their first impression.

    `conversions` counts the visitors who converted, on any day, and `buyers` those with an order.
    `orders`, `revenue`, their squares and their product are sums over visitors. The amount of a
    visitor counts up to the cap, if there is one: `capped` visitors had more, `cut` in all.
    `largest` is the largest amount of a visitor, after the cap.
    """

    visitors: int = 0
    conversions: int = 0
    buyers: int = 0
    orders: float = 0.0
    orders_squared: float = 0.0
    revenue: float = 0.0
    revenue_squared: float = 0.0
    revenue_orders: float = 0.0
    largest: float = 0.0
    capped: int = 0
    cut: float = 0.0

    def plus(self, other: Cohort) -> Cohort:
        """Return the sums of both cohorts' visitors."""
        return Cohort(
            self.visitors + other.visitors,
            self.conversions + other.conversions,
            self.buyers + other.buyers,
            self.orders + other.orders,
            self.orders_squared + other.orders_squared,
            self.revenue + other.revenue,
            self.revenue_squared + other.revenue_squared,
            self.revenue_orders + other.revenue_orders,
            max(self.largest, other.largest),
            self.capped + other.capped,
            self.cut + other.cut,
        )


class ExperienceSums(msgspec.Struct):
    """Sums of an experience.

    `entered` counts the visitors whose first impression is not older than the activity's current
    shares; `cohorts` has them by the UTC day of that impression, in days since 1970.
    `unusable_totals` counts the orders whose total is not in `revenue`, because it is not a number
    or is out of range. `amounts` counts the buyers who have entered by the bin of their revenue
    above 0, before the cap; it is empty unless it was requested.
    """

    visitors: int = 0
    entered: int = 0
    impressions: int = 0
    conversions: int = 0
    orders: int = 0
    revenue: float = 0.0
    unusable_totals: int = 0
    cohorts: dict[int, Cohort] = {}
    amounts: dict[int, int] = {}


class ActivitySums:
    """Sums of an activity.

    `switched` counts the visitors with impressions of several experiences, `outside` those with a
    click or an order but none at or after an impression. Visitors `outside` are in no other sum.
    """

    def __init__(self) -> None:
        self.experiences: defaultdict[str, ExperienceSums] = defaultdict(ExperienceSums)
        self.switched = self.outside = 0


Segments = dict[str, dict[str, ActivitySums]]
"""Sums by the value of a fact, empty for visitors without it, and by activity id."""


class Period(msgspec.Struct, frozen=True, rename="camel"):
    """Times of a ledger's first and last event (epoch ms), and the number of removed events."""

    from_ms: int
    to_ms: int
    removed: int


def read_sums(
    connection: sqlite3.Connection, cap: float | None = None, *, amounts: bool = False
) -> dict[str, ActivitySums]:
    """Return the sums in a database of the current format, by activity id.

    Args:
        connection: The database.
        cap: The amount up to which a visitor's revenue counts in the cohorts.
        amounts: Whether to count the buyers by their revenue, too.

    Raises:
        sqlite3.Error: The database cannot be read.
    """
    run = connection.execute
    buyers = run(_BUYERS, {"cap": math.inf if cap is None else cap})
    found = build_sums(run(_COHORTS), buyers, run(_IMPRESSIONS), run(_ACTIVITIES))
    if amounts:
        connection.create_function("amount_bin", 1, _amount_bin, deterministic=True)
        add_amounts(found, run(_AMOUNTS))
    return found


def read_visitors(connection: sqlite3.Connection, history_ms: int) -> Iterator[VisitorSums]:
    """Yield the visitors of all activities in a database of the current format.

    Args:
        connection: The database.
        history_ms: The length of the period before the first impression.

    Raises:
        sqlite3.Error: The database cannot be read.
    """
    return map(VisitorSums._make, connection.execute(_VISITORS, {"history": history_ms}))


def read_segments(connection: sqlite3.Connection, name: str, cap: float | None = None) -> Segments:
    """Return the sums of visitors by the value of a fact of their first impression.

    Args:
        connection: A database of the current format.
        name: Name of the fact.
        cap: The amount up to which a visitor's revenue counts.

    Raises:
        sqlite3.Error: The database cannot be read.
    """
    buyers = {"path": f'$."{name}"', "cap": math.inf if cap is None else cap}
    return build_segments(
        connection.execute(_SEGMENT_COHORTS, {"name": name}), connection.execute(_SEGMENT_BUYERS, buyers)
    )


def build_segments(cohorts: Iterable[Sequence[Any]], buyers: Iterable[Sequence[Any]]) -> Segments:
    """Return the sums by the value of a fact, built of rows that begin with the value.

    Args:
        cohorts: As of `build_sums`.
        buyers: As of `build_sums`.
    """
    parts: defaultdict[str, tuple[list[Any], list[Any]]] = defaultdict(lambda: ([], []))
    for place, rows in enumerate((cohorts, buyers)):
        for value, *row in rows:
            parts[value][place].append(row)
    return {value: build_sums(*rows, (), ()) for value, rows in parts.items()}


def _amount_bin(amount: float) -> int:
    return math.floor(AMOUNT_BINS * math.log10(amount))


def add_amounts(sums: Mapping[str, ActivitySums], rows: Iterable[Sequence[Any]]) -> None:
    """Add the buyers of each bin of amounts to the sums by activity id.

    Args:
        sums: The sums.
        rows: Activity, experience, bin, buyers.
    """
    for activity_id, experience_id, place, buyers in rows:
        if activity_id in sums and (one := sums[activity_id].experiences.get(experience_id)):
            one.amounts[int(place)] = _as_int(buyers)


def build_sums(
    cohorts: Iterable[Sequence[Any]],
    buyers: Iterable[Sequence[Any]],
    impressions: Iterable[Sequence[Any]],
    activities: Iterable[Sequence[Any]],
) -> dict[str, ActivitySums]:
    """Return the sums by activity id, built of the rows of queries.

    Args:
        cohorts: Activity, experience, day, whether entered, visitors, conversions, orders, units
            and micros of the revenue, unusable totals.
        buyers: Activity, experience, day and the sums of the buyers who have entered, in the order
            of the fields of `Cohort`.
        impressions: Activity, experience, impressions.
        activities: Activity, switched and outside visitors.
    """
    found: defaultdict[str, ActivitySums] = defaultdict(ActivitySums)
    micros: defaultdict[tuple[str, str], int] = defaultdict(int)
    for activity_id, experience_id, *numbers in cohorts:
        day, entered, visitors, conversions, orders, units, rest, unusable = map(_as_int, numbers)
        one = found[activity_id].experiences[experience_id]
        one.visitors += visitors
        one.conversions += min(conversions, visitors)
        one.orders += orders
        one.unusable_totals += unusable
        micros[activity_id, experience_id] += units * MICROS + rest
        if entered:
            one.entered += visitors
            one.cohorts[day] = Cohort(visitors, min(conversions, visitors))
    for (activity_id, experience_id), amount in micros.items():
        found[activity_id].experiences[experience_id].revenue = amount / MICROS
    for activity_id, experience_id, count in impressions:
        found[activity_id].experiences[experience_id].impressions = _as_int(count)
    for activity_id, experience_id, day, *money in buyers:
        if cohort := found[activity_id].experiences[experience_id].cohorts.get(day):
            _add_money(cohort, money)
    for activity_id, switched, outside in activities:
        if switched or outside:
            found[activity_id].switched, found[activity_id].outside = _as_int(switched), _as_int(outside)
    return dict(found)


def _add_money(cohort: Cohort, money: Sequence[float]) -> None:
    buyers, orders, orders_squared, revenue, revenue_squared, revenue_orders, largest, capped, cut = money
    cohort.buyers = min(_as_int(buyers), cohort.visitors)
    cohort.orders, cohort.orders_squared = orders, orders_squared
    cohort.revenue, cohort.revenue_squared, cohort.revenue_orders = revenue, revenue_squared, revenue_orders
    cohort.largest, cohort.capped, cohort.cut = max(0.0, largest), int(capped), cut


def _as_int(value: object) -> int:
    """Return a number within the bounds of a count; 0 for a value that no trigger writes."""
    return (
        max(-_MAX_COUNT, min(_MAX_COUNT, int(value)))
        if isinstance(value, int | float | Decimal) and value == value
        else 0
    )
