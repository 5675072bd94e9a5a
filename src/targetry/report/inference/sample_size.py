"""Sample sizes: visitors that a test needs to find a lift, and the lift that visitors can show.

The formulas for one look are those of Fleiss, Levin and Paik, "Statistical Methods for Rates and
Proportions" (third edition, 2003, chapter 4), without a correction for continuity, and of two means
whose variance is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Final

import msgspec

from targetry._runtime.lazy_import import importing_extra
from targetry.report.inference.confidence_sequence import ConfidenceSequence
from targetry.report.inference.statistics import special_functions

_LOOKS: Final = 200
_FIRST_LOOK: Final = 0.02
_PATHS: Final = 6000
_SEED: Final = 20261128
# Sample of a test that may stop at any time, as a multiple of the fixed one. Simulated by
# `sequential_factor` with 6,000 paths: (alpha, power) → multiple.
_FACTORS: Final = {
    (0.05, 0.8): 1.65,
    (0.05, 0.9): 1.56,
    (0.01, 0.8): 1.48,
    (0.01, 0.9): 1.45,
    (0.1, 0.8): 1.78,
    (0.1, 0.9): 1.68,
}


class Baseline(msgspec.Struct, frozen=True):
    """Mean of a metric per visitor and its standard deviation.

    `deviation` is None for a conversion rate, whose standard deviation follows from the rate.
    """

    mean: float
    deviation: float | None = None


def rates_sample(
    first: float, second: float, alpha: float, power: float, ratio: float = 1.0, *, is_pooled: bool = True
) -> float:
    """Return the visitors of the control for a two-sided test of two rates.

    A pooled test, as Pearson's, has the variance of one rate for both groups. A sequence has that
    of each, which is larger if the smaller group has the higher rate.

    Args:
        first: The control's rate, within 0..1.
        second: The other rate, different from the first.
        alpha: The chance of a false alarm.
        power: The chance of finding the difference.
        ratio: The visitors of the other group for each visitor of the control.
        is_pooled: Whether the test is pooled; otherwise the larger variance counts.
    """
    both = (first + ratio * second) / (1 + ratio)
    spread_of_both = math.sqrt(both * (1 - both) * (1 + 1 / ratio))
    spread = math.sqrt(first * (1 - first) + second * (1 - second) / ratio)
    tested = spread_of_both if is_pooled else max(spread_of_both, spread)
    whole = _quantile(1 - alpha / 2) * tested + _quantile(power) * spread
    return (whole / (second - first)) ** 2


def means_sample(
    deviation: float, difference: float, alpha: float, power: float, ratio: float = 1.0
) -> float:
    """Return the visitors of the control for a two-sided test of two means.

    Args:
        deviation: The standard deviation of a visitor's value, in both groups.
        difference: The difference of the means, not 0.
        alpha: The chance of a false alarm.
        power: The chance of finding the difference.
        ratio: The visitors of the other group for each visitor of the control.
    """
    quantiles = _quantile(1 - alpha / 2) + _quantile(power)
    return (quantiles * deviation / difference) ** 2 * (1 + 1 / ratio)


def comparable_sample(
    first: float, second: float, least: int, many: int, power: float, ratio: float = 1.0
) -> float:
    """Return the visitors of the control with whom a report compares two rates.

    Each group needs converters and visitors without a conversion. A group with few of them is
    compared if it would have many without a difference.

    Args:
        first: The control's rate, within 0..1.
        second: The other rate.
        least: The number of both that each group needs.
        many: The number that a group with few would have without a difference.
        power: The chance of reaching these numbers.
        ratio: The visitors of the other group for each visitor of the control.
    """
    rarer, other = min(first, 1 - first), ratio * min(second, 1 - second)
    share_of_few = (1.0 if rarer < other else ratio) / (1 + ratio)
    enough = _expected(least, power)
    with_few = max(enough / max(rarer, other), _expected(many, power) / ((rarer + other) * share_of_few))
    return min(enough / min(rarer, other), with_few) if min(rarer, other) > 0 else with_few


def _expected(count: int, power: float) -> float:
    """Return the expectation of a count of rare events that reaches a number with a chance."""
    quantile = max(0.0, _quantile(power))
    return ((quantile + math.sqrt(quantile * quantile + 4 * count)) / 2) ** 2


def sequential_factor(alpha: float, power: float) -> float:
    """Return the sample of a test that may stop at any time, as a multiple of the fixed one.

    Raises:
        MissingExtraError: The extra `report` is not installed.
    """
    return _FACTORS.get((round(alpha, 9), round(power, 9))) or _simulated_factor(
        round(alpha, 9), round(power, 9)
    )


@cache
def _simulated_factor(alpha: float, power: float) -> float:
    """Simulate Brownian motion with the drift of the effect; find the multiple by bisection."""
    with importing_extra("report"):
        import numpy as np
    rng = np.random.default_rng(_SEED)
    times = np.linspace(_FIRST_LOOK, 1.0, _LOOKS)
    steps = rng.standard_normal((_PATHS, _LOOKS)) * np.sqrt(np.diff(times, prepend=0.0))
    noise = np.cumsum(steps, axis=1) / np.sqrt(times)
    planned = 1_000_000
    sequence = ConfidenceSequence(alpha, planned)
    limits = np.array([sequence.multiplier(max(1, round(time * planned))) for time in times])
    drift = (_quantile(1 - alpha / 2) + _quantile(power)) * np.sqrt(times)
    low, high = 0.5, 8.0
    while high - low > 0.005:
        middle = (low + high) / 2
        found = float(np.mean(np.any(np.abs(noise + drift * math.sqrt(middle)) > limits, axis=1)))
        low, high = (low, middle) if found >= power else (middle, high)
    return (low + high) / 2


def smallest_lift(
    needed: Callable[[float], float], visitors: float, least: float, most: float
) -> float | None:
    """Return the smallest lift whose needed sample is at most `visitors`, by bisection.

    Args:
        needed: The sample that a lift needs; falls as the lift grows.
        visitors: The visitors at hand.
        least: The smallest lift to consider, above 0.
        most: The largest lift to consider.

    Returns:
        The lift, or None if even `most` needs more visitors.
    """
    if needed(most) > visitors:
        return None
    low, high = least, most
    for _ in range(100):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if needed(middle) <= visitors else (middle, high)
    return high


def _quantile(probability: float) -> float:
    return float(special_functions().ndtri(probability))
