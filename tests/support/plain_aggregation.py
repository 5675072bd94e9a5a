"""Reference implementation of a report's sums, computed from a list of events."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, tzinfo
from fractions import Fraction
from typing import NamedTuple

from targetry.ledger.event import MAX_ORDER_TOTAL, ActivityDescription, LedgerEvent
from targetry.ledger.sums import VisitorSums

_EPOCH = date(1970, 1, 1)

Row = tuple[int, int, int, int, int, float, int]


def aggregate_plainly(
    events: Sequence[LedgerEvent], activities: Sequence[ActivityDescription] = ()
) -> dict[str, tuple[dict[str, Row], int, int]]:
    """Return the experiences of each activity, and its counts of switched and outside visitors.

    The numbers of an experience are impressions, visitors, entered, conversions, orders, revenue
    and unusable totals.
    """
    since = {one.id: one.shares_since_ms for one in activities}
    impressions: defaultdict[tuple[str, str], list[LedgerEvent]] = defaultdict(list)
    clicks: defaultdict[tuple[str, str], list[LedgerEvent]] = defaultdict(list)
    for one in events:
        if one.kind in ("impression", "display") and one.activity_id and one.experience_id:
            impressions[one.activity_id, one.visitor].append(one)
        elif one.kind == "click" and one.activity_id:
            clicks[one.activity_id, one.visitor].append(one)
    orders = _orders(events, impressions)

    found: dict[str, tuple[dict[str, Row], int, int]] = {}
    for activity_id in {key[0] for key in (*impressions, *clicks, *orders)}:
        rows: defaultdict[str, list[Fraction]] = defaultdict(lambda: [Fraction(0)] * 7)
        switched = outside = 0
        for visitor in {key[1] for key in (*impressions, *clicks, *orders) if key[0] == activity_id}:
            key = (activity_id, visitor)
            seen = sorted(impressions[key], key=_moment)
            bought = [one for one in orders[key] if seen and one.timestamp_ms >= seen[0].timestamp_ms]
            clicked = [one for one in clicks[key] if seen and one.timestamp_ms >= seen[0].timestamp_ms]
            if not bought and not clicked:
                outside += bool(clicks[key]) or any(one.activity_id for one in orders[key])
            if not seen:
                continue
            usable = [one.order_total for one in bought if one.order_total is not None]
            amounts = [total for total in usable if abs(total) <= MAX_ORDER_TOTAL]
            numbers = (
                0,
                1,
                seen[0].timestamp_ms >= since.get(activity_id, 0),
                bool(bought or clicked),
                len(bought),
                sum((Fraction(round(total * 1_000_000), 1_000_000) for total in amounts), Fraction(0)),
                len(usable) - len(amounts),
            )
            row = rows[seen[0].experience_id]
            for position, number in enumerate(numbers):
                row[position] += number
            for one in seen:
                rows[one.experience_id][0] += 1
            switched += len({one.experience_id for one in seen}) > 1
        table = {
            key: (*(int(number) for number in row[:5]), float(row[5]), int(row[6]))
            for key, row in rows.items()
        }
        if table or outside:
            found[activity_id] = table, switched, outside  # type: ignore[assignment]
    return found


class PlainCohort(NamedTuple):
    """Sums of the visitors of an experience and a day: counts, and the amounts of its buyers."""

    visitors: int
    conversions: int
    amounts: list[tuple[int, float]]


def visitors_plainly(
    events: Sequence[LedgerEvent],
    activities: Sequence[ActivityDescription] = (),
    history_ms: int = 0,
    zone: tzinfo = UTC,
) -> Iterator[tuple[VisitorSums, LedgerEvent]]:
    """Yield the visitors who entered by the current shares, with their first impressions."""
    since = {one.id: one.shares_since_ms for one in activities}
    impressions: dict[tuple[str, str], list[LedgerEvent]] = {}
    clicks: defaultdict[tuple[str, str], int] = defaultdict(lambda: -1)
    of_visitor: defaultdict[str, list[LedgerEvent]] = defaultdict(list)
    for one in sorted(events, key=_moment):
        of_visitor[one.visitor].append(one)
        if one.kind in ("impression", "display") and one.activity_id and one.experience_id:
            impressions.setdefault((one.activity_id, one.visitor), []).append(one)
        elif one.kind == "click":
            clicks[one.activity_id, one.visitor] = one.timestamp_ms
    orders = _orders(events, impressions)
    for key, (first, *_) in impressions.items():
        at = first.timestamp_ms
        if at < since.get(first.activity_id, 0):
            continue
        bought = [one for one in orders.get(key, []) if one.timestamp_ms >= at]
        before = [one for one in of_visitor[first.visitor] if at - history_ms <= one.timestamp_ms < at]
        bought_before: dict[str, float] = {}
        for one in before:
            if one.kind == "order":
                order = f"order {one.order_id}" if one.order_id else f"event {one.id}"
                bought_before[order] = max(_amount(one), bought_before.get(order, -math.inf))
        yield (
            VisitorSums(
                first.activity_id,
                first.experience_id,
                (datetime.fromtimestamp(at / 1000, UTC).astimezone(zone).date() - _EPOCH).days,
                bool(bought) or clicks[key] >= at,
                len(bought),
                math.fsum(map(_amount, bought)),
                bool(before),
                any(one.kind in ("click", "order") for one in before),
                len(bought_before),
                math.fsum(bought_before.values()),
            ),
            first,
        )


def _amount(order: LedgerEvent) -> float:
    """Return the total in whole millionths, as a ledger adds it."""
    total = order.order_total
    return 0.0 if total is None or abs(total) > MAX_ORDER_TOTAL else round(total, 6)


def cohorts_plainly(
    events: Sequence[LedgerEvent],
    activities: Sequence[ActivityDescription] = (),
    fact: str | None = None,
    zone: tzinfo = UTC,
) -> dict[str, dict[tuple[str, str, int], PlainCohort]]:
    """Return the entered visitors by segment, and by activity, experience and first day.

    The segment is the value of a fact of the first impression, empty without one. `amounts` has the
    number of orders and their usable total for each buyer, sorted.
    """
    found: defaultdict[str, dict[tuple[str, str, int], PlainCohort]] = defaultdict(dict)
    for one, first in visitors_plainly(events, activities, zone=zone):
        segment = found[(first.facts or {}).get(fact, "") if fact else ""]
        cell = one.activity_id, one.experience_id, one.day
        visitors, conversions, amounts = segment.get(cell, (0, 0, []))
        more = [(one.orders, one.revenue)] if one.orders else []
        segment[cell] = PlainCohort(visitors + 1, conversions + one.has_converted, sorted([*amounts, *more]))
    return dict(found)


def _orders(
    events: Sequence[LedgerEvent], impressions: Mapping[tuple[str, str], list[LedgerEvent]]
) -> defaultdict[tuple[str, str], list[LedgerEvent]]:
    """Return the orders that count by activity and visitor: the earliest of each order id."""
    first: dict[tuple[str, str], LedgerEvent] = {}
    for one in sorted((one for one in events if one.kind == "order"), key=_moment):
        of_visitor = sorted(key[0] for key in impressions if key[1] == one.visitor)
        for activity_id in [one.activity_id] if one.activity_id else of_visitor:
            first.setdefault(
                (activity_id, f"order {one.order_id}" if one.order_id else f"event {one.id}"), one
            )
    found: defaultdict[tuple[str, str], list[LedgerEvent]] = defaultdict(list)
    for (activity_id, _), one in first.items():
        found[activity_id, one.visitor].append(one)
    return found


def _moment(one: LedgerEvent) -> tuple[int, str]:
    return one.timestamp_ms, one.id
