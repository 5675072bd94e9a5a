"""Sums of a ledger's events: visitors, conversions and orders of each experience.

`counting` keeps the sums up to date by these definitions:

- A visitor belongs to the experience of the first impression, so that the split stays random. An
  impression is content that was returned (`impression`) or displayed (`display`).
- A visitor converts with a click or an order at or after the first impression of the activity, at
  most once.
- An order counts once for an activity, by its order id: reloading a confirmation page makes no
  second order. An order without an activity counts for every activity of its visitor, as in Target.

The sums do not depend on the order of the events. They are kept for each cohort, the visitors of an
experience with one UTC day of the first impression. For the days of another time zone they are read
from the visitors, by quarters of an hour.
"""

from __future__ import annotations

import math
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, tzinfo
from decimal import Decimal
from functools import cache
from typing import Any, Final, NamedTuple

import msgspec

from targetry.ledger.event import MAX_ORDER_TOTAL, NEW
from targetry.ledger.schema import COHORT_SUMS, DAY_MS, HAS_CONVERTED, MICROS, is_event

# Since 2011, midnight has been at a multiple of it in all time zones; days before can differ by the
# minutes by which a zone changed its clocks.
QUARTER_MS: Final = 900_000

SESSION_MS: Final = 1_800_000
"""Time without activity after which a session of Target ends.

A visitor with an event as long before the first impression of an activity is returning.
"""

_QUARTERS: Final = DAY_MS // QUARTER_MS
_FIRST_DAY: Final = date(1970, 1, 1).toordinal()
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
_MONEY: Final = (
    f"total(orders), total(orders * orders), total({_AMOUNT}), total({_AMOUNT} * {_AMOUNT}), "
    f"total({_AMOUNT} * orders), max({_AMOUNT}), total({_FULL} > :cap), total(max({_FULL} - :cap, 0))"
)
_BUYERS: Final = f"""
    SELECT participation.activity_id, experience_id, first_ms / {DAY_MS}, count(*), {_MONEY}
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
    SELECT part.activity_id, experience_id, first_ms / {{step}}, {HAS_CONVERTED.format(row="part.")}, orders, {_FULL},
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
_FACT: Final = "ifnull(CAST(json_extract(facts, :path) AS TEXT), '')"
_SEGMENT_BUYERS: Final = f"""
    SELECT {_FACT}, participation.activity_id, experience_id, first_ms / {DAY_MS}, count(*), {_MONEY}
    FROM participation INDEXED BY buyer LEFT JOIN activity ON activity.id = participation.activity_id
    WHERE orders > 0 AND experience_id IS NOT NULL AND first_ms >= ifnull(shares_since_ms, 0) GROUP BY 1, 2, 3, 4
"""
_VISIT: Final = f"""
    CASE WHEN EXISTS (
        SELECT 1 FROM event WHERE event.visitor = part.visitor
            AND event.timestamp_ms <= part.first_ms - {SESSION_MS} AND {is_event("event.")}
    ) THEN 'returning' ELSE '{NEW}' END
"""
_SUMS_OF_VISITORS: Final = f"""
    SELECT {{value}}, part.activity_id, experience_id, first_ms / {{step}}, first_ms >= ifnull(shares_since_ms, 0),
        count(*), sum({HAS_CONVERTED.format(row="part.")}), sum(orders), total(units), total(micros), sum(unusable),
        sum(orders > 0), {_MONEY}
    FROM participation AS part LEFT JOIN activity ON activity.id = part.activity_id
    WHERE experience_id IS NOT NULL GROUP BY 1, 2, 3, 4, 5
"""
# Columns of `build_sums`: after the key of a cohort, and the last ones.
_COHORT_COLUMNS: Final = 7
_BUYER_COLUMNS: Final = 9
_NO_BUYERS: Final = (0, *[0.0] * 6, 0, 0.0)
_MAX_COUNT: Final = 2**53

AMOUNT_BINS: Final = 24
"""Bins of amounts per power of ten: bin n holds those from 10**(n/24) to 10**((n+1)/24)."""


class VisitorSums(NamedTuple):
    """Sums of a visitor of an activity, who entered by its current shares.

    `day` is the day of the first impression, in days since 1970. The values `before` are those of
    the period before that impression, and `has_history` says that there is an event in it.
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
    shares; `cohorts` has them by the day of that impression, in days since 1970.
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
    connection: sqlite3.Connection,
    cap: float | None = None,
    *,
    amounts: bool = False,
    zone: tzinfo | None = None,
) -> dict[str, ActivitySums]:
    """Return the sums in a database of the current format, by activity id.

    Args:
        connection: The database.
        cap: The amount up to which a visitor's revenue counts in the cohorts.
        amounts: Whether to count the buyers by their revenue, too.
        zone: The time zone of the days, None for UTC.

    Raises:
        sqlite3.Error: The database cannot be read.
    """
    run = connection.execute
    limit = {"cap": math.inf if cap is None else cap}
    if zone is None:
        rows = with_buyers(run(_COHORTS), run(_BUYERS, limit))
    else:
        rows = (row[1:] for row in run(_sums_of_visitors("''", zone), limit))
    found = build_sums(rows, run(_IMPRESSIONS), run(_ACTIVITIES), zone)
    if amounts:
        connection.create_function("amount_bin", 1, _amount_bin, deterministic=True)
        add_amounts(found, run(_AMOUNTS))
    return found


def read_visitors(
    connection: sqlite3.Connection, history_ms: int, zone: tzinfo | None = None
) -> Iterator[VisitorSums]:
    """Yield the visitors of all activities in a database of the current format.

    Args:
        connection: The database.
        history_ms: The length of the period before the first impression.
        zone: The time zone of the days, None for UTC.

    Raises:
        sqlite3.Error: The database cannot be read.
    """
    query = _VISITORS.format(step=step_ms(zone))
    return build_visitors(connection.execute(query, {"history": history_ms}), zone)


def read_segments(
    connection: sqlite3.Connection, name: str, cap: float | None = None, zone: tzinfo | None = None
) -> Segments:
    """Return the sums of visitors by the value of a fact of their first impression.

    Args:
        connection: A database of the current format.
        name: Name of the fact, or `NEW`: `new` and `returning` visitors.
        cap: The amount up to which a visitor's revenue counts.
        zone: The time zone of the days, None for UTC.

    Raises:
        sqlite3.Error: The database cannot be read.
    """
    run = connection.execute
    values = {"path": f'$."{name}"', "cap": math.inf if cap is None else cap}
    if name == NEW or zone is not None:
        return build_segments(run(_sums_of_visitors(_VISIT if name == NEW else _FACT, zone), values), zone)
    return build_segments(with_buyers(run(_SEGMENT_COHORTS, {"name": name}), run(_SEGMENT_BUYERS, values)))


def _sums_of_visitors(value: str, zone: tzinfo | None) -> str:
    return _SUMS_OF_VISITORS.format(value=value, step=step_ms(zone))


def step_ms(zone: tzinfo | None) -> int:
    """Return the length of the steps in which times are read, for the days of a time zone."""
    return DAY_MS if zone is None else QUARTER_MS


def day_of_step(zone: tzinfo | None) -> Callable[[int], int]:
    """Return the function from the number of a step since 1970 to that of its day in a zone."""
    if zone is None:
        return lambda step: step

    @cache
    def day(quarter: int) -> int:
        try:
            return datetime.fromtimestamp(quarter * QUARTER_MS // 1000, zone).toordinal() - _FIRST_DAY
        except (ValueError, OverflowError, OSError):  # after the year 9999
            return quarter // _QUARTERS

    return day


def build_visitors(rows: Iterable[Sequence[Any]], zone: tzinfo | None) -> Iterator[VisitorSums]:
    """Yield the visitors of rows with the step of the first impression in place of its day."""
    day = day_of_step(zone)
    for activity_id, experience_id, step, *others in rows:
        yield VisitorSums(activity_id, experience_id, day(step), *others)


def build_segments(rows: Iterable[Sequence[Any]], zone: tzinfo | None = None) -> Segments:
    """Return the sums by the value of a fact, built of rows that begin with the value.

    Args:
        rows: The other columns are those of `build_sums`.
        zone: As of `build_sums`.
    """
    parts: defaultdict[str, list[Sequence[Any]]] = defaultdict(list)
    for value, *row in rows:
        parts[value].append(row)
    return {value: build_sums(of_value, (), (), zone) for value, of_value in parts.items()}


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


def with_buyers(cohorts: Iterable[Sequence[Any]], buyers: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    """Yield the rows of cohorts, each followed by the sums of its buyers who have entered.

    Args:
        cohorts: A key, and the columns of `build_sums` from `entered` to the unusable totals.
        buyers: The same key, and the last columns of `build_sums`.
    """
    money = {tuple(row[:-_BUYER_COLUMNS]): row[-_BUYER_COLUMNS:] for row in buyers}
    for row in cohorts:
        yield (*row, *money.get(tuple(row[:-_COHORT_COLUMNS]), _NO_BUYERS))


def build_sums(
    rows: Iterable[Sequence[Any]],
    impressions: Iterable[Sequence[Any]],
    activities: Iterable[Sequence[Any]],
    zone: tzinfo | None = None,
) -> dict[str, ActivitySums]:
    """Return the sums by activity id, built of the rows of queries.

    Args:
        rows: Activity, experience, step of the first impression, whether entered, visitors,
            conversions, orders, units and micros of the revenue, unusable totals, and the sums of
            the buyers in the order of the fields of `Cohort`.
        impressions: Activity, experience, impressions.
        activities: Activity, switched and outside visitors.
        zone: The time zone of the days, None for UTC.
    """
    found: defaultdict[str, ActivitySums] = defaultdict(ActivitySums)
    micros: defaultdict[tuple[str, str], int] = defaultdict(int)
    day_of = day_of_step(zone)
    for activity_id, experience_id, *columns in rows:
        numbers, money = columns[:-_BUYER_COLUMNS], columns[-_BUYER_COLUMNS:]
        step, entered, visitors, conversions, orders, units, rest, unusable = map(_as_int, numbers)
        one = found[activity_id].experiences[experience_id]
        one.visitors += visitors
        one.conversions += min(conversions, visitors)
        one.orders += orders
        one.unusable_totals += unusable
        micros[activity_id, experience_id] += units * MICROS + rest
        if entered:
            one.entered += visitors
            day, made = day_of(step), _cohort(visitors, conversions, money)
            one.cohorts[day] = one.cohorts[day].plus(made) if day in one.cohorts else made
    for (activity_id, experience_id), amount in micros.items():
        found[activity_id].experiences[experience_id].revenue = amount / MICROS
    for activity_id, experience_id, count in impressions:
        found[activity_id].experiences[experience_id].impressions = _as_int(count)
    for activity_id, switched, outside in activities:
        if switched or outside:
            found[activity_id].switched, found[activity_id].outside = _as_int(switched), _as_int(outside)
    return dict(found)


def _cohort(visitors: int, conversions: int, money: Sequence[float]) -> Cohort:
    buyers, orders, orders_squared, revenue, revenue_squared, revenue_orders, largest, capped, cut = money
    return Cohort(
        visitors,
        min(conversions, visitors),
        min(_as_int(buyers), visitors),
        orders,
        orders_squared,
        revenue,
        revenue_squared,
        revenue_orders,
        max(0.0, largest),
        int(capped),
        cut,
    )


def _as_int(value: object) -> int:
    """Return a number within the bounds of a count; 0 for a value that no count can have."""
    return (
        max(-_MAX_COUNT, min(_MAX_COUNT, int(value)))
        if isinstance(value, int | float | Decimal) and value == value
        else 0
    )
