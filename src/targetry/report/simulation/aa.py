"""A/A tests: equal experiences on real allocations, and how often the tests of a report alarm.

Every difference that a test finds here is a false alarm. Outcomes are drawn, or taken from a
ledger, without knowledge of the allocation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from targetry.ledger.sums import Cohort, VisitorSums
from targetry.report.inference.multiple_comparisons import holm
from targetry.report.inference.split_check import ALARM_BELOW, split_p_value
from targetry.report.inference.statistics import (
    MISMATCH_BELOW,
    Sample,
    chi_square_p_value,
    lift,
    sample_ratio,
)
from targetry.report.looks import Method, Totals
from targetry.report.options import METRIC_NAMES
from targetry.report.simulation.error_rate import (
    ErrorRate,
    error_rate,
    exceeded,
    p_values_of,
    sequential_method,
    uniform_p_value,
)
from targetry.report.simulation.groups import Array, draw_purchases, group_sums

ALPHA: Final = 0.05
BUCKETS: Final = 10_000
UNLIKELY: Final = 0.001
"""P-value of the allocation below which chance is an unlikely explanation."""

_LOOKS: Final = 25
_BUYERS: Final = 0.5  # of the converters
_LEAST_EXPECTED: Final = 5


class Outcomes(NamedTuple):
    """Outcome of each visitor, in the order in which the visitors arrive."""

    converted: Array
    orders: Array
    revenue: Array


class Allocations(NamedTuple):
    """Allocation of the visitors in one activity: their buckets, and its shares in percent."""

    buckets: Array
    shares: Sequence[float]


class AaTest(msgspec.Struct, frozen=True, rename="camel"):
    """One test of a report: its false alarms, and for one look the distribution of its p-values.

    `uniform_p_value` compares the p-values of one look at the first experience with the uniform
    distribution; None at every look, where they are not uniform.
    """

    alarms: ErrorRate
    uniform_p_value: float | None


class AaReport(msgspec.Struct, frozen=True, rename="camel"):
    """Result of A/A tests.

    `bucket_p_value` compares the buckets of all allocations with equal ones, and
    `correlation_p_value` the correlations of successive activities with chance;
    `largest_correlation` is the largest one. `is_sound` is False if a test alarms more often than
    its limit, or if a p-value of the allocation is below 0.001.
    """

    activities: int
    visitors: int
    tests: list[AaTest]
    bucket_p_value: float
    correlation_p_value: float
    largest_correlation: float
    is_sound: bool


def draw_outcomes(random: np.random.Generator, visitors: int, rate: float) -> Outcomes:
    """Draw who converts, at a rate within 0..1, and what half of the converters buy."""
    converted = random.random(visitors) < rate
    buys = converted & (random.random(visitors) < _BUYERS)
    orders, revenue = np.zeros(visitors, np.int64), np.zeros(visitors)
    orders[buys], revenue[buys] = draw_purchases(random, int(buys.sum()))
    return Outcomes(converted, orders, revenue)


def recorded_outcomes(visitors: Iterable[VisitorSums]) -> Outcomes:
    """Return the outcomes of a ledger's visitors, by the day of their first impression."""
    ordered = sorted(visitors, key=lambda one: one.day)
    return Outcomes(
        np.array([one.has_converted for one in ordered], bool),
        np.array([one.orders for one in ordered], np.int64),
        np.array([one.revenue for one in ordered], float),
    )


def run_aa(
    allocations: Iterable[Allocations],
    outcomes: Callable[[], Outcomes],
    progress: Callable[[int], object] | None = None,
) -> AaReport:
    """Compare equal experiences in each activity.

    Args:
        allocations: The allocations of the same visitors in at least two activities.
        outcomes: Returns the outcomes of these visitors in an activity.
        progress: Receives the number of finished activities.

    Raises:
        MissingExtraError: The extra `report` is not installed.
    """
    found: dict[tuple[str, bool], list[_PValues]] = {}
    counts = np.zeros(BUCKETS, np.int64)
    correlations: list[float] = []
    before: Array | None = None
    done = visitors = 0
    for done, (buckets, shares) in enumerate(allocations, start=1):
        visitors = len(buckets)
        counts += np.bincount(buckets, minlength=BUCKETS)
        if before is not None:
            correlations.append(float(np.corrcoef(before, buckets)[0, 1]))
        before = buckets
        totals = _totals(_positions(buckets, shares), len(shares), outcomes())
        for key, p_values in _p_values(totals, _expected(shares)):
            found.setdefault(key, []).append(p_values)
        if progress is not None:
            progress(done)
    tests = [_test(name, p_values, one_look=one_look) for (name, one_look), p_values in found.items()]
    bucket_p_value = _evenness(counts)
    squares = visitors * float(np.square(correlations).sum())
    correlation_p_value = chi_square_p_value(squares, len(correlations))
    is_sound = not exceeded([one.alarms for one in tests])
    return AaReport(
        done,
        visitors,
        tests,
        bucket_p_value,
        correlation_p_value,
        max(map(abs, correlations)),
        is_sound and min(bucket_p_value, correlation_p_value) >= UNLIKELY,
    )


def _evenness(counts: Array) -> float:
    """Return the p-value of even buckets, neighbors together so that each has enough visitors."""
    total = counts.sum()
    size = next((one for one in (1, 10, 100) if total * one >= _LEAST_EXPECTED * BUCKETS), 1000)
    groups = counts.reshape(-1, size).sum(axis=1)
    expected = total * size / BUCKETS
    return chi_square_p_value(float(((groups - expected) ** 2).sum() / expected), len(groups) - 1)


def _positions(buckets: Array, shares: Sequence[float]) -> Array:
    """Return the experience of each visitor; a window includes its upper end, as in artifacts."""
    bounds = np.cumsum(shares) / np.sum(shares) * 100
    return np.minimum(np.searchsorted(bounds, buckets / 100), len(shares) - 1)


def _expected(shares: Sequence[float]) -> list[float]:
    """Return the number of buckets of each experience."""
    return np.bincount(_positions(np.arange(BUCKETS), shares), minlength=len(shares)).tolist()  # type: ignore[no-any-return]


def _totals(positions: Array, groups: int, outcomes: Outcomes) -> Totals:
    looks = np.arange(len(positions)) * _LOOKS // len(positions)
    buys = outcomes.orders > 0
    sums: list[list[Cohort]] = []
    for group in range(groups):
        own = positions == group
        buyers = own & buys
        sums.append(
            group_sums(
                np.bincount(looks[own], minlength=_LOOKS),
                np.bincount(looks[own & outcomes.converted], minlength=_LOOKS),
                looks[buyers],
                outcomes.orders[buyers],
                outcomes.revenue[buyers],
            )
        )
    return list(enumerate(zip(*sums, strict=True)))


class _PValues(NamedTuple):
    """P-values of a test: the least of all experiences, corrected, and that of the first one."""

    least: float
    first: float


def _p_values(totals: Totals, expected: Sequence[float]) -> Iterable[tuple[tuple[str, bool], _PValues]]:
    """Yield the p-values of each test, with its name and whether it is for one look."""
    comparisons, (_, latest) = len(expected) - 1, totals[-1]
    visitors = max(1, latest[0].visitors + latest[1].visitors)
    for metric in METRIC_NAMES:
        method = sequential_method(ALPHA, visitors, comparisons)
        yield (metric, False), _of_experiences(p_values_of(metric, totals, method))
        if metric == "conversion":
            yield (metric, True), _of_experiences(_conversion_p_values(latest))
        else:
            one_look = Method(ALPHA / comparisons, None)
            yield (metric, True), _of_experiences(p_values_of(metric, totals[-1:], one_look))
    looks = [[one.visitors for one in sums] for _, sums in totals]
    yield ("split", False), _of_experiences([min(split_p_value(look, expected) for look in looks)])
    ratio = sample_ratio(looks[-1], expected)
    yield ("split", True), _of_experiences([ratio.p_value] if ratio else [])


def _conversion_p_values(latest: Sequence[Cohort]) -> list[float]:
    """Return the p-values of the rates for one look."""
    samples = [Sample(one.conversions, one.visitors) for one in latest]
    lifts = [lift(one, samples[0]) for one in samples[1:] if one.visitors and samples[0].visitors]
    return [one.p_value for one in lifts if one]


def _of_experiences(p_values: Sequence[float]) -> _PValues:
    return _PValues(min(holm(p_values)), p_values[0]) if p_values else _PValues(1.0, 1.0)


def _test(name: str, p_values: list[_PValues], *, one_look: bool) -> AaTest:
    limit = (MISMATCH_BELOW if one_look else ALARM_BELOW) if name == "split" else ALPHA
    wrong = sum(one.least < limit for one in p_values)
    return AaTest(
        error_rate(name, 1 if one_look else _LOOKS, wrong, len(p_values), limit),
        uniform_p_value([one.first for one in p_values]) if one_look else None,
    )
