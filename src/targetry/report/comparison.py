"""Comparison of experiences with their control: lifts, p-values and verdicts of each metric.

Visitors are compared from the last change of the shares on, in the order of the days of their first
impression. Each day is a look. The running p-value is the least one so far; it stays valid because
a confidence sequence holds at every look at once.
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
from targetry.report.inference.multiple_comparisons import benjamini_hochberg, holm
from targetry.report.inference.statistics import Interval, normal_p_value, normal_quantile
from targetry.report.metrics import METRICS, ReportMetric
from targetry.report.options import Guardrail, ReportOptions

SEQUENTIAL: Final = "asymptotic-cs-fieller"
FIXED: Final = "normal-fieller"
_MOST_E: Final = 700.0  # logarithm of the largest e-value that is reported


class MetricLift(msgspec.Struct, frozen=True, rename="camel"):
    """Relative difference to the control's mean; a `value` of 0.1 is 10 % more.

    `interval` is that of the latest look, None while the control's mean may be 0. `p_value` is the
    least of all looks, corrected for the number of comparisons. `has_drifted` says that no lift
    lies within the intervals of all looks. `n_star` is the number of visitors at which the interval
    is tightest; it and `e_value` are None for one look.
    """

    value: float
    interval: Interval | None
    p_value: float
    e_value: float | None
    method: str
    n_star: int | None
    has_drifted: bool = False


class Look(msgspec.Struct, frozen=True, rename="camel"):
    """Figures of a metric after a day, in days since 1970 UTC."""

    day: int
    visitors: int
    mean: float
    interval: Interval
    lift: float | None = None
    lift_interval: Interval | None = None
    p_value: float | None = None


class MetricReport(msgspec.Struct, frozen=True, rename="camel"):
    """Figures of a metric of an experience.

    `n` is the number of visitors, `counted` that of converters or buyers, of which `least` are
    needed before the experience is compared. `lift` is None for the control and before that.
    """

    n: int
    counted: int
    least: int
    mean: float
    interval: Interval
    lift: MetricLift | None
    verdict: str | None
    over_time: list[Look] | None = None


class GuardrailReport(msgspec.Struct, frozen=True, rename="camel"):
    """State of a guardrail: `safe`, `harmed`, `not yet` or `too early`.

    `interval` is that of the lift, one-sided at the report's confidence.
    """

    metric: str
    margin: float
    interval: Interval | None
    state: str


class Comparison(NamedTuple):
    """Metrics of each experience by name, and the states of its guardrails."""

    metrics: list[dict[str, MetricReport]]
    guardrails: list[list[GuardrailReport]]


class _Method(NamedTuple):
    """Intervals and p-values at a level: of a confidence sequence, or for one look."""

    alpha: float
    sequence: ConfidenceSequence | None

    def multiplier(self, visitors: int) -> float:
        return self.sequence.multiplier(visitors) if self.sequence else normal_quantile(1 - self.alpha)

    def p_value(self, z: float, visitors: int) -> float:
        return self.sequence.p_value(z, visitors) if self.sequence else normal_p_value(z)


class _Compared(NamedTuple):
    """Lift of an experience after a look; `p_value` is the least so far."""

    lift: float
    interval: Interval | None
    p_value: float
    e_value: float | None
    has_drifted: bool


class _Series(NamedTuple):
    """Figures of a metric of an experience after the latest look."""

    estimate: Estimate
    interval: Interval
    counted: int
    is_early: bool
    compared: _Compared | None
    over_time: list[Look] | None


_Totals = Sequence[tuple[int, Sequence[Cohort]]]


def compare(
    cohorts: Sequence[Mapping[int, Cohort]], options: ReportOptions, *, is_compared: bool, is_broken: bool
) -> Comparison:
    """Compare experiences with the first one.

    Args:
        cohorts: The cohorts of each experience by day.
        options: The options of the report.
        is_compared: Whether visitors are allocated at random, so that lifts have a meaning.
        is_broken: Whether the split differs from the shares, which takes the verdicts away.

    Raises:
        MissingExtraError: The extra `report` is not installed.
    """
    totals = cumulate(cohorts)
    others = range(1, len(cohorts)) if is_compared else range(0)
    series: dict[tuple[str, int], _Series] = {}
    for name, metric in METRICS.items():
        method = _method(name, len(others), options)
        for position in range(len(cohorts)):
            one = _series(
                metric, totals, position, method, is_compared=position in others, over_time=options.over_time
            )
            if one is not None:
                series[name, position] = one
    corrected = _correct(series, options)
    reports: list[dict[str, MetricReport]] = [{} for _ in cohorts]
    for (name, position), one in series.items():
        reports[position][name] = _report(
            METRICS[name], one, corrected.get((name, position)), options, is_broken=is_broken
        )
    guardrails: list[list[GuardrailReport]] = [[] for _ in cohorts]
    for position in others:
        guardrails[position] = [_guardrail(one, totals, position, options) for one in options.guardrails]
    return Comparison(reports, guardrails)


def cumulate(cohorts: Sequence[Mapping[int, Cohort]]) -> list[tuple[int, list[Cohort]]]:
    """Return the sums of each experience after each day that has visitors."""
    totals = [Cohort() for _ in cohorts]
    found = []
    for day in sorted({day for one in cohorts for day in one}):
        totals = [
            total.plus(one[day]) if day in one else total for total, one in zip(totals, cohorts, strict=True)
        ]
        found.append((day, totals))
    return found


def _method(name: str, comparisons: int, options: ReportOptions) -> _Method:
    """Return the method of a metric; intervals of the primary one hold together."""
    alpha = options.alpha / max(1, comparisons) if name == options.metric else options.alpha
    return _method_at(alpha, options)


def _method_at(alpha: float, options: ReportOptions) -> _Method:
    return _Method(alpha, None if options.fixed else ConfidenceSequence(alpha, options.tightest))


def _series(
    metric: ReportMetric,
    totals: _Totals,
    position: int,
    method: _Method,
    *,
    is_compared: bool,
    over_time: bool = False,
) -> _Series | None:
    """Follow a metric of an experience over the looks; None if it cannot be estimated.

    Figures of each day are kept with `over_time`.
    """
    p_value, low, high = 1.0, -math.inf, math.inf
    found: _Series | None = None
    looks: list[Look] | None = [] if over_time else None
    for day, sums in totals:
        own, control = sums[position], sums[0]
        estimate, base = metric.estimate(own), metric.estimate(control)
        if estimate is None:
            continue
        interval = _mean_interval(estimate, method, metric.bounds)
        is_early = (
            method.sequence is not None and min(metric.count(own), metric.count(control)) < metric.least
        )
        compared = None
        if is_compared and base is not None and base.mean > 0 and not is_early:
            visitors = estimate.visitors + base.visitors
            z = difference_in_errors(estimate, base)
            p_value = min(p_value if method.sequence else 1.0, method.p_value(z, visitors))
            lift = lift_interval(estimate, base, method.multiplier(visitors))
            if lift is not None and method.sequence:
                low, high = max(low, lift.low), min(high, lift.high)
            compared = _Compared(
                estimate.mean / base.mean - 1, lift, p_value, _e_value(method, z, visitors), low > high
            )
        if looks is not None:
            looks.append(_look(day, estimate, interval, compared))
        found = _Series(estimate, interval, metric.count(own), is_early, compared, looks)
    return found


def _mean_interval(estimate: Estimate, method: _Method, bounds: tuple[float, float]) -> Interval:
    half = method.multiplier(estimate.visitors) * math.sqrt(estimate.variance)
    return Interval(max(bounds[0], estimate.mean - half), min(bounds[1], estimate.mean + half))


def _e_value(method: _Method, z: float, visitors: int) -> float | None:
    if method.sequence is None:
        return None
    return math.exp(min(_MOST_E, method.sequence.log_e_value(z, visitors)))


def _look(day: int, estimate: Estimate, interval: Interval, compared: _Compared | None) -> Look:
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
    )


def _correct(
    series: Mapping[tuple[str, int], _Series], options: ReportOptions
) -> dict[tuple[str, int], float]:
    """Correct the p-values of the primary metric by Holm, of all others by Benjamini-Hochberg."""
    found: dict[tuple[str, int], float] = {}
    for is_primary, method in ((True, holm), (False, benjamini_hochberg)):
        p_values = {
            key: one.compared.p_value
            for key, one in series.items()
            if one.compared and (key[0] == options.metric) is is_primary
        }
        found.update(zip(p_values, method(list(p_values.values())), strict=True))
    return found


def _report(
    metric: ReportMetric, one: _Series, p_value: float | None, options: ReportOptions, *, is_broken: bool
) -> MetricReport:
    lift = None
    if one.compared is not None and p_value is not None:
        lift = MetricLift(
            one.compared.lift,
            one.compared.interval,
            p_value,
            one.compared.e_value,
            FIXED if options.fixed else SEQUENTIAL,
            None if options.fixed else options.tightest,
            one.compared.has_drifted,
        )
    return MetricReport(
        one.estimate.visitors,
        one.counted,
        metric.least,
        one.estimate.mean,
        one.interval,
        lift,
        _verdict(lift, options, is_early=one.is_early, is_broken=is_broken),
        one.over_time,
    )


def _verdict(
    lift: MetricLift | None, options: ReportOptions, *, is_early: bool, is_broken: bool
) -> str | None:
    if is_broken:
        return "split is broken"
    if is_early:
        return "too early"
    if lift is None:
        return None
    if lift.p_value < options.alpha and not lift.has_drifted:
        return "better" if lift.value > 0 else "worse"
    margin, interval = options.margin, lift.interval
    if margin is not None and interval is not None and -margin < interval.low and interval.high < margin:
        return "no difference"
    return "not yet"


def _guardrail(
    guardrail: Guardrail, totals: _Totals, position: int, options: ReportOptions
) -> GuardrailReport:
    """Check a guardrail by the two-sided interval at twice the level, whose ends are one-sided."""
    metric = METRICS[guardrail.metric]
    series = _series(metric, totals, position, _method_at(2 * options.alpha, options), is_compared=True)
    interval = series.compared.interval if series and series.compared else None
    if series is None or series.is_early:
        state = "too early"
    elif interval is None:
        state = "not yet"
    elif interval.low > -guardrail.margin:
        state = "safe"
    else:
        state = "harmed" if interval.high < 0 else "not yet"
    return GuardrailReport(guardrail.metric, guardrail.margin, interval, state)
