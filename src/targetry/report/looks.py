"""Figures of a metric after each look: estimates, lifts, and the least p-value so far.

A look is the end of a day that has visitors. The running p-value stays valid because a confidence
sequence holds at every look at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from targetry.ledger.sums import Cohort
from targetry.report.inference.confidence_sequence import ConfidenceSequence
from targetry.report.inference.estimates import Estimate
from targetry.report.inference.fieller import difference_in_errors, lift_interval
from targetry.report.inference.metrics import MANY, ReportMetric
from targetry.report.inference.statistics import Interval, normal_p_value, normal_quantile

_MOST_E: Final = 700.0  # logarithm of the largest e-value that is reported

Totals = Sequence[tuple[int, Sequence[Cohort]]]
"""Sums of each experience after each look, whose number is that of its day."""


class Look(msgspec.Struct, frozen=True, rename="camel"):
    """Figures of a metric after a day, in days since 1970.

    `one_look_interval` is the narrower interval of the lift that holds for this look alone; None in
    a report for one look, whose `lift_interval` it is.
    """

    day: int
    visitors: int
    mean: float
    interval: Interval
    lift: float | None = None
    lift_interval: Interval | None = None
    p_value: float | None = None
    one_look_interval: Interval | None = None


class Method(NamedTuple):
    """Intervals and p-values at a level: of a confidence sequence, or for one look."""

    alpha: float
    sequence: ConfidenceSequence | None

    def multiplier(self, visitors: int) -> float:
        """Return the half width of an interval in standard errors."""
        return self.sequence.multiplier(visitors) if self.sequence else normal_quantile(1 - self.alpha)

    def p_value(self, z: float, visitors: int) -> float:
        """Return the p-value of one look at a difference in standard errors."""
        return self.sequence.p_value(z, visitors) if self.sequence else normal_p_value(z)

    def e_value(self, z: float, visitors: int) -> float | None:
        """Return the e-value, None for one look."""
        if self.sequence is None:
            return None
        return math.exp(min(_MOST_E, self.sequence.log_e_value(z, visitors)))


class Compared(NamedTuple):
    """Lift of an experience after a look.

    `lift` is None if the control's mean is 0. `p_value` is the least so far, `z` the difference in
    standard errors, and `strongest_z` that of the look with the least p-value. `low` and `high`
    bound the lifts within the intervals of all looks; `low` is above `high` if there are none.
    `variance_left` is the variance of the difference as a part of that without an adjustment by
    values from before the test; None without one.
    """

    lift: float | None
    interval: Interval | None
    p_value: float
    z: float
    strongest_z: float
    visitors: int
    low: float
    high: float
    variance_left: float | None = None

    @property
    def has_drifted(self) -> bool:
        """Whether no lift lies within the intervals of all looks."""
        return self.low > self.high


class Series(NamedTuple):
    """Figures of a metric of an experience after the latest look."""

    estimate: Estimate
    interval: Interval
    counted: int
    is_early: bool
    compared: Compared | None
    over_time: list[Look] | None


def cumulate(cohorts: Sequence[Mapping[int, Cohort]]) -> list[tuple[int, list[Cohort]]]:
    """Return the sums of each experience after each day that has visitors."""
    totals = [Cohort() for _ in cohorts]
    found = []
    for day in sorted({day for one in cohorts for day in one}):
        totals = [
            one[day].plus(total) if day in one else total for total, one in zip(totals, cohorts, strict=True)
        ]
        found.append((day, totals))
    return found


def follow(
    metric: ReportMetric,
    totals: Totals,
    position: int,
    method: Method,
    *,
    is_compared: bool,
    over_time: bool = False,
) -> Series | None:
    """Follow a metric of an experience over the looks; None if it cannot be estimated.

    Args:
        metric: The metric.
        totals: The sums of each experience, the control's first.
        position: The experience.
        method: The method of intervals and p-values.
        is_compared: Whether the experience is compared with the control.
        over_time: Whether the figures after each look are kept.
    """
    so_far = _LooksSoFar()
    estimate: Estimate | None = None
    compared: Compared | None = None
    counted, is_early = 0, False
    looks: list[Look] | None = [] if over_time else None
    one_look = normal_quantile(1 - method.alpha) if over_time and method.sequence else None
    for day, sums in totals:
        own, control = sums[position], sums[0]
        latest = metric.estimate(own)
        if latest is None:
            continue
        estimate, counted, compared, narrow = latest, metric.count(own), None, None
        is_broken = _is_broken(metric, own, control)
        is_early = not is_broken and _is_early(metric, own, control)
        has_lift = is_compared and not (is_early and method.sequence)
        pair = _pair(metric, own, control, latest) if has_lift else None
        if pair is not None and (pair.control.mean > 0 or (is_broken and not pair.control.mean)):
            is_own_test = method.sequence is None and pair.variance_left is None
            p_value = metric.one_look(own, control) if is_own_test else None
            compared = so_far.add(metric, method, pair, p_value)
            if one_look is not None:
                narrow = _lift_interval(metric, pair.own, pair.control, one_look)
        if looks is not None:
            mean_interval = _mean_interval(estimate, method, metric.bounds)
            looks.append(_look(day, estimate, mean_interval, compared, narrow))
    if estimate is None:
        return None
    interval = _mean_interval(estimate, method, metric.bounds)
    return Series(estimate, interval, counted, is_early, compared, looks)


class _Pair(NamedTuple):
    """Estimates of an experience and of the control, adjusted if the metric is.

    `variance_left` is as in `Compared`.
    """

    own: Estimate
    control: Estimate
    variance_left: float | None


def _pair(metric: ReportMetric, own: Cohort, control: Cohort, latest: Estimate) -> _Pair | None:
    """Return the estimates to compare; None if that of the control cannot be made."""
    base = metric.estimate(control)
    if base is None:
        return None
    adjusted = metric.adjust((control, own)) if base.mean > 0 else None
    if adjusted is None:
        return _Pair(latest, base, None)
    before = latest.variance + base.variance
    base, latest = adjusted
    left = (latest.variance + base.variance) / before if before > 0 else 1.0
    return _Pair(latest, base, left)


class _LooksSoFar:
    """Least p-value of the looks so far, and the bounds that their intervals have in common."""

    def __init__(self) -> None:
        self._p_value, self._strongest_z = 1.0, 0.0
        self._low, self._high = -math.inf, math.inf

    def add(self, metric: ReportMetric, method: Method, pair: _Pair, p_value: float | None) -> Compared:
        """Return the lift of one more look; `p_value` replaces that of the method."""
        own, control, variance_left = pair
        visitors = own.visitors + control.visitors
        z = difference_in_errors(own, control)
        p_value = method.p_value(z, visitors) if p_value is None else p_value
        if p_value < self._p_value or not method.sequence:
            self._p_value, self._strongest_z = p_value, z
        interval = _lift_interval(metric, own, control, method.multiplier(visitors))
        if interval is not None and method.sequence:
            self._low, self._high = max(self._low, interval.low), min(self._high, interval.high)
        return Compared(
            own.mean / control.mean - 1 if control.mean else None,
            interval,
            self._p_value,
            z,
            self._strongest_z,
            visitors,
            self._low,
            self._high,
            variance_left,
        )


def _is_early(metric: ReportMetric, own: Cohort, control: Cohort) -> bool:
    """Return whether a group has too few converters or buyers for a comparison."""
    return min(metric.count(own), metric.count(control)) < metric.least


def _is_broken(metric: ReportMetric, own: Cohort, control: Cohort) -> bool:
    """Return whether a group with few converters or buyers would have many without a difference.

    Its figures are compared all the same, since more visitors do not mend it.
    """
    counts = metric.count(own), metric.count(control)
    few = own if counts[0] < counts[1] else control
    without_difference = sum(counts) * few.visitors / max(1, own.visitors + control.visitors)
    has_few = min(counts) < metric.least <= max(counts)
    return metric.compares_few and has_few and without_difference >= MANY * metric.least


def _lift_interval(
    metric: ReportMetric, one: Estimate, control: Estimate, multiplier: float
) -> Interval | None:
    """Return the interval of a lift; None if the values of a group do not vary."""
    if one.variance <= 0 and (one.mean <= 0 or control.variance <= 0):
        return None
    found = lift_interval(one, control, multiplier)
    if found is None or metric.bounds[0] < 0:
        return found
    return Interval(max(-1.0, found.low), found.high)


def _mean_interval(estimate: Estimate, method: Method, bounds: tuple[float, float]) -> Interval:
    half = method.multiplier(estimate.visitors) * math.sqrt(estimate.variance)
    return Interval(max(bounds[0], estimate.mean - half), min(bounds[1], estimate.mean + half))


def _look(
    day: int, estimate: Estimate, interval: Interval, compared: Compared | None, one_look: Interval | None
) -> Look:
    if compared is None:
        return Look(day, estimate.visitors, estimate.mean, interval)
    return Look(
        day,
        estimate.visitors,
        estimate.mean,
        interval,
        compared.lift,
        compared.interval,
        compared.p_value,
        one_look,
    )
