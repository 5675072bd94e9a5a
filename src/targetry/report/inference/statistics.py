"""Statistics of a report: confidence intervals, lift, significance tests, sample ratio check.

- A rate has Wilson's interval (Wilson, "Probable inference, the law of succession, and statistical
  inference", JASA 22, 1927), which stays within 0..1 and is valid for few visitors.
- A lift is the ratio of two rates less one; its interval is that on the logarithm (Katz, Baptista,
  Azen and Pike, "Obtaining confidence intervals for the risk ratio in cohort studies",
  Biometrics 34, 1978).
- Its two-sided p-value is that of Pearson's chi-square test without correction, or of Fisher's
  exact test if a group has an expectation below five conversions or five visitors without one.
- The split is checked by a chi-square test of the visitors against the allocated shares.

Lifts and p-values are valid for one look at the end of a test. Repeated looks that end a test at a
good number are wrong more often than the p-value says; `comparison` has figures for these.
Comparisons of several experiences are not corrected for their number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import msgspec

from targetry._runtime.lazy_import import importing_extra

CONFIDENCE: Final = 0.95
MISMATCH_BELOW: Final = 0.001  # p-value of the split below which chance is an unlikely explanation
_FEW: Final = 5
_TOLERANCE: Final = 1e-7  # relative difference of probabilities that differ by rounding only


class Interval(msgspec.Struct, frozen=True):
    """Confidence interval."""

    low: float
    high: float


class Lift(msgspec.Struct, frozen=True, rename="camel"):
    """Relative difference to the control's rate; a `value` of 0.1 is 10 % more.

    `interval` is None without conversions. `test` is `chi-square` or `fisher` for one look, and
    `asymptotic-cs-fieller` at every look.
    """

    value: float
    interval: Interval | None
    p_value: float
    test: str


class SequentialCheck(msgspec.Struct, frozen=True, rename="camel"):
    """Check of a split at every look: the least p-value so far."""

    p_value: float
    is_mismatch: bool


class SampleRatio(msgspec.Struct, frozen=True, rename="camel"):
    """Check of a split: observed visitors of each experience, and those expected by the shares.

    `chi_square`, `p_value` and `is_mismatch` are for one look at the end, `sequential` is valid at
    every look. `sequential` is None in a report for one look.
    """

    observed: list[int]
    expected: list[float]
    chi_square: float
    p_value: float
    is_mismatch: bool
    sequential: SequentialCheck | None = None


class Sample(msgspec.Struct, frozen=True):
    """Number of an experience's visitors, and of those who converted."""

    conversions: int
    visitors: int

    @property
    def rate(self) -> float:
        """Conversions per visitor."""
        return self.conversions / self.visitors


def rate_interval(sample: Sample, confidence: float = CONFIDENCE) -> Interval:
    """Return Wilson's interval of the rate. Raises `MissingExtraError`."""
    z, n = normal_quantile(confidence), sample.visitors
    center = sample.rate + z * z / (2 * n)
    half = z * math.sqrt(sample.rate * (1 - sample.rate) / n + z * z / (4 * n * n))
    low, high = ((center + side * half) / (1 + z * z / n) for side in (-1, 1))
    # Rounding can leave the rate outside.
    return Interval(min(max(0.0, low), sample.rate), max(min(1.0, high), sample.rate))


def lift(sample: Sample, control: Sample, confidence: float = CONFIDENCE) -> Lift | None:
    """Return the lift; None if the control has no conversion. Raises `MissingExtraError`."""
    if not control.conversions:
        return None
    p_value, test = rates_p_value(sample, control)
    return Lift(sample.rate / control.rate - 1, _lift_interval(sample, control, confidence), p_value, test)


def sample_ratio(observed: Sequence[int], shares: Sequence[float]) -> SampleRatio | None:
    """Check the split of visitors.

    Args:
        observed: The visitors of each experience.
        shares: The share of each experience, above 0; their sum is arbitrary.

    Returns:
        The check, or None for fewer than two experiences, no visitors, or an expectation of 0.

    Raises:
        MissingExtraError: The extra `report` is not installed.
    """
    total, whole = sum(observed), math.fsum(shares)
    if len(observed) < 2 or not total or not all(total * share / whole for share in shares):
        return None
    expected = [total * share / whole for share in shares]
    statistic = math.fsum((one - due) ** 2 / due for one, due in zip(observed, expected, strict=True))
    if not math.isfinite(statistic):
        return None
    p_value = chi_square_p_value(statistic, len(observed) - 1)
    return SampleRatio(list(observed), expected, statistic, p_value, p_value < MISMATCH_BELOW)


def _lift_interval(sample: Sample, control: Sample, confidence: float) -> Interval | None:
    if not sample.conversions:
        return None
    both = (sample, control)
    spread = math.sqrt(max(0.0, math.fsum(1 / one.conversions - 1 / one.visitors for one in both)))
    half = normal_quantile(confidence) * spread
    low, high = (sample.rate / control.rate * math.exp(side * half) for side in (-1, 1))
    return Interval(low - 1, high - 1)


def rates_p_value(sample: Sample, control: Sample) -> tuple[float, str]:
    """Return the p-value of Pearson's or Fisher's test and its name. Raises `MissingExtraError`."""
    table = [[one.conversions, one.visitors - one.conversions] for one in (sample, control)]
    columns = [sum(row[column] for row in table) for column in (0, 1)]
    if not columns[1]:  # all visitors converted
        return 1.0, "fisher"
    rows = (sample.visitors, control.visitors)
    least = min(columns) * min(rows) / sum(columns)
    if least < _FEW:
        return _fisher_p_value(sample.conversions, rows, columns[0]), "fisher"
    (a, b), (c, d) = table
    statistic = sum(columns) * (a * d - b * c) ** 2 / (rows[0] * rows[1] * columns[0] * columns[1])
    return chi_square_p_value(statistic, 1), "chi-square"


def _fisher_p_value(conversions: int, rows: tuple[int, int], column: int) -> float:
    """Return the probability of the tables with these margins that are at most as likely.

    `rows` are the visitors of both groups, `conversions` those of the first group, `column` those
    of both.
    """
    first, last = max(0, column - rows[1]), min(rows[0], column)
    logs = [0.0]  # logarithms of the probabilities, up to a constant
    for k in range(first, last):
        ratio = (rows[0] - k) * (column - k) / ((k + 1) * (rows[1] - column + k + 1))
        logs.append(logs[-1] + math.log(ratio))
    most = max(logs)
    weights = [math.exp(one - most) for one in logs]
    limit = weights[conversions - first] * (1 + _TOLERANCE)
    return min(1.0, math.fsum(weight for weight in weights if weight <= limit) / math.fsum(weights))


def chi_square_p_value(statistic: float, degrees: int) -> float:
    """Return the chance of a statistic that is at least as large. Raises `MissingExtraError`."""
    return float(special_functions().chdtrc(degrees, statistic))


@cache
def normal_quantile(confidence: float) -> float:
    """Return the half width of a two-sided normal interval in standard errors.

    Raises:
        MissingExtraError: The extra `report` is not installed.
    """
    return float(special_functions().ndtri((1 + confidence) / 2))


def normal_p_value(z: float) -> float:
    """Return the two-sided p-value of a difference in standard errors."""
    return math.erfc(abs(z) / math.sqrt(2))


def special_functions() -> Any:
    """Return `scipy.special`. Raises `MissingExtraError`."""
    with importing_extra("report"):
        # A tenth of the import time of scipy.stats.
        from scipy import special  # type: ignore[import-untyped]
    return special
