"""How sure a report can be: intervals, comparisons and the check of the split, as textbooks have them, by SciPy.

- A rate has Wilson's interval (Wilson 1927), which stays within 0..1 and holds for few visitors too.
- A lift is the ratio of two rates less one; its interval is Katz's on the logarithm (Katz et al. 1978).
- Its p-value, two-sided, is that of Pearson's chi-square test without correction, or of Fisher's exact test
  where fewer than five conversions, or five visitors without one, would be expected in a group.
- The split is checked by a chi-square test of the visitors against the shares asked for.

All of it is for one look at the end: who looks every day and stops when he likes the number will be wrong more often than
the p-value says. Comparisons of several experiences are not corrected for their number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from targetry.lazy_import import importing_extra

CONFIDENCE: Final = 0.95
MISMATCH_BELOW: Final = 0.001  # of the split's p-value: so low that chance is the less likely explanation
_FEW: Final = 5


class Interval(msgspec.Struct, frozen=True):
    low: float
    high: float


class Lift(msgspec.Struct, frozen=True, rename="camel"):
    """Against the control: 0.1 is 10 % more. `interval` is None where one of the two had no conversion.

    `test` is `chi-square` or `fisher`.
    """

    value: float
    interval: Interval | None
    p_value: float
    test: str


class SampleRatio(msgspec.Struct, frozen=True, rename="camel"):
    """Whether visitors were split as asked: `expected` are the visitors that each experience should have had."""

    observed: list[int]
    expected: list[float]
    chi_square: float
    p_value: float
    is_mismatch: bool


class Sample(msgspec.Struct, frozen=True):
    """Visitors of an experience, and how many of them converted."""

    conversions: int
    visitors: int

    @property
    def rate(self) -> float:
        return self.conversions / self.visitors


def rate_interval(sample: Sample) -> Interval:
    """Wilson's interval of the rate. Raises `MissingExtraError`."""
    result = _stats().binomtest(sample.conversions, sample.visitors)
    interval = result.proportion_ci(CONFIDENCE, method="wilson")
    return Interval(
        max(0.0, float(interval.low)), min(1.0, float(interval.high))
    )  # rounding may leave the scale


def lift(sample: Sample, control: Sample) -> Lift | None:
    """None where the control has no conversion, so that nothing can be a multiple of it. Raises `MissingExtraError`."""
    if not control.conversions:
        return None
    p_value, test = _p_value(sample, control)
    return Lift(sample.rate / control.rate - 1, _lift_interval(sample, control), p_value, test)


def sample_ratio(observed: Sequence[int], shares: Sequence[float]) -> SampleRatio | None:
    """None where there is nothing to compare: fewer than two experiences, no visitor, or a share too small to expect one.

    Shares may have any sum, since not all visitors need to take part; all are above 0. Raises `MissingExtraError`.
    """
    total, whole = sum(observed), math.fsum(shares)
    if len(observed) < 2 or not total or not all(total * share / whole for share in shares):
        return None
    expected = [total * share / whole for share in shares]
    result = _stats().chisquare(list(observed), expected)
    p_value = float(result.pvalue)
    return SampleRatio(list(observed), expected, float(result.statistic), p_value, p_value < MISMATCH_BELOW)


def _lift_interval(sample: Sample, control: Sample) -> Interval | None:
    if not sample.conversions:
        return None
    ratio = _contingency().relative_risk(
        sample.conversions, sample.visitors, control.conversions, control.visitors
    )
    interval = ratio.confidence_interval(CONFIDENCE)
    return Interval(float(interval.low) - 1, float(interval.high) - 1)


def _p_value(sample: Sample, control: Sample) -> tuple[float, str]:
    table = [[one.conversions, one.visitors - one.conversions] for one in (sample, control)]
    columns = [sum(row[column] for row in table) for column in (0, 1)]
    if not columns[1]:  # everybody converted
        return 1.0, "fisher"
    least = min(columns) * min(sample.visitors, control.visitors) / sum(columns)
    if least < _FEW:
        return float(_stats().fisher_exact(table).pvalue), "fisher"
    return float(_contingency().chi2_contingency(table, correction=False).pvalue), "chi-square"


def _stats() -> Any:
    with importing_extra("report"):
        from scipy import stats  # type: ignore[import-untyped]
    return stats


def _contingency() -> Any:
    return _stats().contingency
