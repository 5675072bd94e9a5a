"""Error rates of simulated tests, with the intervals of what their number of runs can say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from targetry.report.inference.confidence_sequence import ConfidenceSequence
from targetry.report.inference.metrics import METRICS
from targetry.report.inference.multiple_comparisons import holm
from targetry.report.inference.statistics import Interval, special_functions
from targetry.report.looks import Method, Totals, follow

CONFIDENCE: Final = 0.99
"""Confidence of the interval of an error rate."""

HOLDS, EXCEEDED, UNCLEAR = "holds", "exceeded", "unclear"


class ErrorRate(msgspec.Struct, frozen=True, rename="camel"):
    """Number of wrong runs, next to the rate that must not be exceeded.

    `looks` is the number of looks in each run. `interval` is that of Clopper and Pearson, "The use
    of confidence or fiducial limits illustrated in the case of the binomial" (Biometrika 26, 1934),
    at 99 % confidence. `state` is `holds` if all of it is within the limit, `exceeded` if none of
    it is, and otherwise `unclear`: more runs are needed.
    """

    name: str
    looks: int
    wrong: int
    runs: int
    limit: float
    interval: Interval
    state: str

    @property
    def rate(self) -> float:
        """Wrong runs as a fraction."""
        return self.wrong / self.runs


def error_rate(name: str, looks: int, wrong: int, runs: int, limit: float) -> ErrorRate:
    """Compare a number of wrong runs with a limit. Raises `MissingExtraError`."""
    inverse, rest = special_functions().betaincinv, (1 - CONFIDENCE) / 2
    low = float(inverse(wrong, runs - wrong + 1, rest)) if wrong else 0.0
    high = float(inverse(wrong + 1, runs - wrong, 1 - rest)) if wrong < runs else 1.0
    state = EXCEEDED if low > limit else HOLDS if high <= limit else UNCLEAR
    return ErrorRate(name, looks, wrong, runs, limit, Interval(low, high), state)


def least_p_value(metric: str, totals: Totals, method: Method) -> float | None:
    """Return the least p-value of the experiences, corrected by Holm as a report does.

    Args:
        metric: The name of the metric, the primary one.
        totals: The sums of each experience after each look.
        method: The method of one comparison.

    Returns:
        The p-value, None if no experience can be compared yet.
    """
    found = p_values_of(metric, totals, method)
    return min(holm(found)) if found else None


def p_values_of(metric: str, totals: Totals, method: Method) -> list[float]:
    """Return the p-values of the experiences that can be compared; arguments as `least_p_value`."""
    return [
        series.compared.p_value
        for position in range(1, len(totals[-1][1]))
        if (series := follow(METRICS[metric], totals, position, method, is_compared=True)) and series.compared
    ]


def sequential_method(alpha: float, planned: int, comparisons: int = 1) -> Method:
    """Return the method of a report for one of several comparisons, valid at every look."""
    return Method(alpha / comparisons, ConfidenceSequence(alpha / comparisons, planned))


def uniform_p_value(p_values: Iterable[float]) -> float:
    """Return the p-value of Kolmogorov and Smirnov's test against the uniform distribution."""
    ordered = sorted(p_values)
    count = len(ordered)
    distance = max(
        max((rank + 1) / count - value, value - rank / count) for rank, value in enumerate(ordered)
    )
    return float(special_functions().kolmogorov(distance * count**0.5))


def exceeded(rates: Sequence[ErrorRate]) -> bool:
    """Return whether a rate is certainly above its limit."""
    return any(one.state == EXCEEDED for one in rates)
