"""Metrics of a report: how the sums of visitors become estimates, and how many are enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from targetry.ledger.sums import Cohort
from targetry.report.inference.estimates import (
    Estimate,
    Moments,
    mean_estimate,
    rate_estimate,
    ratio_estimate,
)


class ReportMetric(NamedTuple):
    """ReportMetric of a visitor.

    `estimate` computes the mean of a group; `count` counts the visitors that carry the metric, of
    whom a group needs `least` before its figures are compared. `bounds` are those of the mean.
    """

    label: str
    estimate: Callable[[Cohort], Estimate | None]
    count: Callable[[Cohort], int]
    least: int
    bounds: tuple[float, float] = (-math.inf, math.inf)


def _rate(sums: Cohort) -> Estimate | None:
    return rate_estimate(sums.visitors, sums.conversions)


def _orders(sums: Cohort) -> Estimate | None:
    return mean_estimate(Moments(sums.visitors, sums.orders, sums.orders_squared))


def _revenue(sums: Cohort) -> Estimate | None:
    return mean_estimate(Moments(sums.visitors, sums.revenue, sums.revenue_squared))


def _revenue_per_order(sums: Cohort) -> Estimate | None:
    return ratio_estimate(
        Moments(
            sums.visitors,
            sums.revenue,
            sums.revenue_squared,
            sums.orders,
            sums.orders_squared,
            sums.revenue_orders,
        )
    )


def _converters(sums: Cohort) -> int:
    return sums.conversions


def _buyers(sums: Cohort) -> int:
    return sums.buyers


METRICS: Final[Mapping[str, ReportMetric]] = {
    "conversion": ReportMetric("Conversion", _rate, _converters, 20, (0.0, 1.0)),
    "orders": ReportMetric("Orders per visitor", _orders, _buyers, 25),
    "revenue": ReportMetric("Revenue per visitor", _revenue, _buyers, 25),
    "rpo": ReportMetric("Revenue per order", _revenue_per_order, _buyers, 25),
}
"""Metrics by name, in the order of a report."""
