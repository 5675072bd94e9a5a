"""Metrics: visitors of whom a group needs enough before it is compared."""

from __future__ import annotations

import math

from support.cases import each_case
from targetry.ledger.sums import Cohort
from targetry.report.inference.metrics import METRICS

VISITORS = 1_000


def cohort(values: list[float]) -> Cohort:
    """Return the sums of 1,000 visitors, of whom some have an order of a value."""
    buyers = len(values)
    total, squares = math.fsum(values), math.fsum(one * one for one in values)
    return Cohort(VISITORS, buyers, buyers, total, squares, total, squares, total)


# values of the buyers → counted visitors
COUNTED = {
    "few buy": ([10.0] * 100, 100),
    "few buy at prices that differ": ([1.0, 1000.0] * 50, 100),
    "nearly all buy at one price": ([0.1] * 980, 20),
    "all buy at one price": ([9.99] * 1_000, 0),
    "all buy, and few at twice the price": ([10.0] * 970 + [20.0] * 30, 26),
    "all buy at prices that differ": ([5.0 + n / 100 for n in range(1_000)], 76),
    "orders without a total": ([0.0] * 60, 60),
    "refunds of all": ([10.0, -10.0] * 40, 80),
}


@each_case("values, counted", COUNTED.values(), ids=COUNTED)
def test_buyers_or_others_are_counted(values: list[float], counted: int) -> None:
    assert [METRICS[name].count(cohort(values)) for name in ("orders", "revenue")] == [counted] * 2


def test_revenue_per_order_counts_buyers() -> None:
    assert METRICS["rpo"].count(cohort([9.99] * 1_000)) == 1_000
