"""Metrics of a report: how the sums of visitors become estimates, and how many are enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from targetry.ledger.sums import Cohort
from targetry.report.inference.cuped import adjusted_estimates
from targetry.report.inference.estimates import (
    Estimate,
    Moments,
    mean_estimate,
    rate_estimate,
    ratio_estimate,
)
from targetry.report.inference.statistics import Sample, rates_p_value
from targetry.report.inference.visitor_sums import HistoricCohort

MANY: Final = 2
"""Times `least` that a group with few would have without a difference, before it is compared."""

_LARGE: Final = 10_000
_ROUNDING: Final = 1e-6  # visitors, of sums that are computed


class ReportMetric(NamedTuple):
    """Metric of a visitor.

    `estimate` computes the mean of a group; `count` counts the visitors that carry the metric, of
    whom a group needs `least` before its figures are compared. For a metric per visitor it counts
    the converters or buyers, or the other visitors if these are fewer, since the variance depends
    on both. `bounds` are those of the mean. `adjust` computes the means of groups that are
    compared, adjusted by the values from before the test; it returns None without them.
    `compares_few` says that a mean of few is compared, if there would be many without a difference.
    `one_look` returns the p-value of the metric's own test for one look at a group and the control;
    None if it has none.
    """

    label: str
    estimate: Callable[[Cohort], Estimate | None]
    count: Callable[[Cohort], int]
    least: int
    bounds: tuple[float, float] = (-math.inf, math.inf)
    adjust: Callable[[Sequence[Cohort]], list[Estimate] | None] = lambda _: None
    compares_few: bool = True
    one_look: Callable[[Cohort, Cohort], float | None] = lambda *_: None


def _rate(sums: Cohort) -> Estimate | None:
    return rate_estimate(sums.visitors, sums.conversions)


def _rates_p_value(own: Cohort, control: Cohort) -> float:
    return rates_p_value(*(Sample(one.conversions, one.visitors) for one in (own, control)))[0]


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


def _adjusted_rates(groups: Sequence[Cohort]) -> list[Estimate] | None:
    return _adjusted("conversion", [(one, one.conversions, one.conversions) for one in groups])


def _adjusted_orders(groups: Sequence[Cohort]) -> list[Estimate] | None:
    return _adjusted("orders", [(one, one.orders, one.orders_squared) for one in groups])


def _adjusted_revenue(groups: Sequence[Cohort]) -> list[Estimate] | None:
    return _adjusted("revenue", [(one, one.revenue, one.revenue_squared) for one in groups])


def _adjusted(name: str, groups: Sequence[tuple[Cohort, float, float]]) -> list[Estimate] | None:
    moments = []
    for sums, x, xx in groups:
        if not isinstance(sums, HistoricCohort) or name not in sums.history:
            return None
        before = sums.history[name]
        moments.append(Moments(sums.visitors, x, xx, before.total, before.squared, before.product))
    return adjusted_estimates(moments)


def _fewer_converters_or_others(sums: Cohort) -> int:
    return min(sums.conversions, sums.visitors - sums.conversions)


def _ordering_or_others(sums: Cohort) -> int:
    return _buyers_or_others(sums, sums.orders, sums.orders_squared)


def _spending_or_others(sums: Cohort) -> int:
    return _buyers_or_others(sums, sums.revenue, sums.revenue_squared)


def _buyers_or_others(sums: Cohort, total: float, squares: float) -> int:
    """Return the number of buyers, or of the other visitors if these are fewer.

    The others are all visitors but the buyers of equal values who would have the same sums. So
    buyers count among them in part, if their values differ.
    """
    alike = total * total / squares if squares else 0.0
    return min(sums.buyers, math.floor(sums.visitors - alike + _ROUNDING))


def _buyers(sums: Cohort) -> int:
    return sums.buyers


METRICS: Final[Mapping[str, ReportMetric]] = {
    "conversion": ReportMetric(
        "Conversion",
        _rate,
        _fewer_converters_or_others,
        20,
        (0.0, 1.0),
        _adjusted_rates,
        one_look=_rates_p_value,
    ),
    "orders": ReportMetric(
        "Orders per visitor", _orders, _ordering_or_others, 25, (0.0, math.inf), _adjusted_orders
    ),
    "revenue": ReportMetric(
        "Revenue per visitor", _revenue, _spending_or_others, 25, adjust=_adjusted_revenue
    ),
    "rpo": ReportMetric("Revenue per order", _revenue_per_order, _buyers, 25, compares_few=False),
}
"""Metrics by name, in the order of a report."""


def format_mean(name: str, value: float) -> str:
    """Return a mean of a metric as a text: a rate in percent without the sign, or a number."""
    if name == "conversion":
        return f"{100 * value:.2f}"
    return f"{value:,.4g}" if abs(value) < _LARGE else f"{value:,.0f}"
