"""Comparison of experiences with their control: lifts, p-values and verdicts of each metric.

Visitors are compared from the last change of the shares on, in the order of the days of their first
impression. Each day is a look.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from targetry.ledger.sums import Cohort
from targetry.report.inference.confidence_sequence import ConfidenceSequence
from targetry.report.inference.metrics import METRICS, ReportMetric
from targetry.report.inference.multiple_comparisons import benjamini_hochberg, holm
from targetry.report.inference.statistics import Interval
from targetry.report.looks import Compared, Look, Method, Series, Totals, cumulate, follow
from targetry.report.options import Guardrail, ReportOptions

SEQUENTIAL: Final = "asymptotic-cs-fieller"
FIXED: Final = "normal-fieller"
ADJUSTED: Final = "-cuped"
"""End of the name of a method whose means are adjusted by values from before the test."""


class MetricLift(msgspec.Struct, frozen=True, rename="camel"):
    """Relative difference to the control's mean; a `value` of 0.1 is 10 % more.

    `interval` is that of the latest look, None while the control's mean may be 0. `p_value` is the
    least of all looks, corrected for the number of comparisons; for one look at a conversion rate
    it is that of Pearson's or Fisher's test. `has_drifted` says that no lift
    lies within the intervals of all looks. `n_star` is the number of visitors at which the interval
    is tightest; it and `e_value` are None for one look. `variance_left` is the variance of the
    difference as a part of that without the adjustment by values from before the test, None without
    an adjustment: 0.6 is a variance that is 40 % smaller.
    """

    value: float
    interval: Interval | None
    p_value: float
    e_value: float | None
    method: str
    n_star: int | None
    has_drifted: bool = False
    variance_left: float | None = None


class MetricReport(msgspec.Struct, frozen=True, rename="camel"):
    """Figures of a metric of an experience.

    `n` is the number of visitors, `counted` that of converters or buyers, of which `least` are
    needed before the experience is compared. Where most visitors convert or buy, `counted` is that
    of the others, among whom buyers count in part if their values differ. `lift` is None for the
    control, before that, and for a control whose mean is 0.
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


def compare(
    cohorts: Sequence[Mapping[int, Cohort]],
    options: ReportOptions,
    *,
    compared: Collection[int],
    is_broken: bool,
    is_corrected: bool = True,
    parts: Mapping[int, float] = {},
) -> Comparison:
    """Compare experiences with the first one.

    Args:
        cohorts: The cohorts of each experience by day.
        options: The options of the report.
        compared: Positions of the experiences that are compared with the first one.
        is_broken: Whether the split differs from the shares, which takes the verdicts away.
        is_corrected: Whether p-values and intervals are corrected for the number of comparisons;
            False leaves that to the caller, for whom they are a part of all comparisons.
        parts: Part of the planned visitors that an experience and the first one have together, by
            position; by default all of them.

    Raises:
        MissingExtraError: The extra `report` is not installed.
    """
    totals = cumulate(cohorts)
    series: dict[tuple[str, int], Series] = {}
    methods: dict[tuple[str, int], Method] = {}
    tightest = [_tightest(options, parts.get(position, 1.0)) for position in range(len(cohorts))]
    for name, metric in METRICS.items():
        for position in range(len(cohorts)):
            method = _method(name, len(compared) if is_corrected else 1, options, tightest[position])
            methods[name, position] = method
            one = follow(
                metric,
                totals,
                position,
                method,
                is_compared=position in compared,
                over_time=options.over_time,
            )
            if one is not None:
                series[name, position] = one
    corrected = _correct(series, options, len(compared)) if is_corrected else _uncorrected(series)
    reports: list[dict[str, MetricReport]] = [{} for _ in cohorts]
    for (name, position), one in series.items():
        reports[position][name] = _report(
            METRICS[name],
            one,
            methods[name, position],
            corrected.get((name, position)),
            options,
            is_broken=is_broken,
        )
    guardrails: list[list[GuardrailReport]] = [[] for _ in cohorts]
    for position in compared:
        guardrails[position] = [
            _guardrail(one, totals, position, options, tightest[position]) for one in options.guardrails
        ]
    return Comparison(reports, guardrails)


def _tightest(options: ReportOptions, part: float) -> int:
    """Return the visitors of two groups at which their sequence is tightest.

    A plan is about all experiences, so two of them reach their part of it.
    """
    return options.tightest if options.planned is None else max(1, round(options.planned * part))


def _method(name: str, comparisons: int, options: ReportOptions, tightest: int) -> Method:
    """Return the method of a metric; intervals of the primary one hold together."""
    alpha = options.alpha / max(1, comparisons) if name == options.primary_metric else options.alpha
    return _method_at(alpha, options, tightest)


def _method_at(alpha: float, options: ReportOptions, tightest: int) -> Method:
    return Method(alpha, None if options.fixed else ConfidenceSequence(alpha, tightest))


def _uncorrected(series: Mapping[tuple[str, int], Series]) -> dict[tuple[str, int], float]:
    return {key: one.compared.p_value for key, one in series.items() if one.compared}


def _correct(
    series: Mapping[tuple[str, int], Series], options: ReportOptions, comparisons: int
) -> dict[tuple[str, int], float]:
    """Correct the p-values of the primary metric by Holm, of all others by Benjamini-Hochberg.

    Experiences that are too early count: they are compared at a later look of the same test.
    """
    found: dict[tuple[str, int], float] = {}
    for is_primary, method in ((True, holm), (False, benjamini_hochberg)):
        p_values = {
            key: one.compared.p_value
            for key, one in series.items()
            if one.compared and (key[0] == options.primary_metric) is is_primary
        }
        early = comparisons - len(p_values) if is_primary else 0
        found.update(zip(p_values, method([*p_values.values(), *[1.0] * early]), strict=False))
    return found


def _report(
    metric: ReportMetric,
    one: Series,
    method: Method,
    p_value: float | None,
    options: ReportOptions,
    *,
    is_broken: bool,
) -> MetricReport:
    lift, compared = None, one.compared
    if compared is not None and compared.lift is not None and p_value is not None:
        lift = MetricLift(
            compared.lift,
            compared.interval,
            p_value,
            method.e_value(compared.z, compared.visitors),
            (FIXED if options.fixed else SEQUENTIAL) + ("" if compared.variance_left is None else ADJUSTED),
            None if method.sequence is None else method.sequence.planned,
            compared.has_drifted,
            compared.variance_left,
        )
    return MetricReport(
        one.estimate.visitors,
        one.counted,
        metric.least,
        one.estimate.mean,
        one.interval,
        lift,
        _verdict(lift, compared, p_value, options, is_early=one.is_early, is_broken=is_broken),
        one.over_time,
    )


def _verdict(
    lift: MetricLift | None,
    compared: Compared | None,
    p_value: float | None,
    options: ReportOptions,
    *,
    is_early: bool,
    is_broken: bool,
) -> str | None:
    if is_broken:
        return "split is broken"
    if is_early:
        return "too early"
    if compared is None or p_value is None:
        return None
    if lift is None:  # the control's mean is 0, and the other's is above it
        return "better" if p_value < options.alpha and compared.strongest_z > 0 else "not yet"
    if lift.p_value < options.alpha and not lift.has_drifted:
        # The direction is that of the evidence; the latest lift can be on the other side.
        return "better" if compared.strongest_z > 0 else "worse"
    margin, interval = options.margin, None if lift.has_drifted else lift.interval
    if margin is not None and interval is not None and -margin < interval.low and interval.high < margin:
        return "no difference"
    return "not yet"


def _guardrail(
    guardrail: Guardrail, totals: Totals, position: int, options: ReportOptions, tightest: int
) -> GuardrailReport:
    """Check a guardrail by the two-sided interval at twice the level, whose ends are one-sided."""
    metric = METRICS[guardrail.metric]
    method = _method_at(2 * options.alpha, options, tightest)
    series = follow(metric, totals, position, method, is_compared=True)
    found = series.compared if series else None
    interval = found.interval if found else None
    if series is None or series.is_early:
        state = "too early"
    elif interval is not None and interval.low > -guardrail.margin:
        state = "safe"
    elif found is not None and method.p_value(found.z, found.visitors) < method.alpha:
        state = "harmed" if found.z < 0 else "safe"  # as if 0 were outside the interval, also without one
    else:
        state = "not yet"
    return GuardrailReport(guardrail.metric, guardrail.margin, interval, state)
