"""Bayesian view of two conversion rates: chance that one is higher, and what its choice may cost.

The rates have the uniform prior, so their posterior distributions are beta distributions. Integrals
are computed by quadrature, without random numbers. Nothing here is protected against looking at a
test again and again.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, Final

import msgspec

from targetry._runtime.lazy_import import importing_extra
from targetry.report.inference.statistics import Sample, special_functions

_NODES: Final = 96
_DEVIATIONS: Final = (-40, -12, 0, 12, 40)  # from the mean, at which the integrals are divided


class BayesReport(msgspec.Struct, frozen=True, rename="camel"):
    """Chance that the rate is above the control's, and the expected loss of choosing it.

    `expected_loss` is the mean of what the rate is below the control's, a difference of rates.
    """

    chance_to_beat_control: float
    expected_loss: float


def compare_rates(one: Sample, control: Sample) -> BayesReport:
    """Compare the posterior distributions of two conversion rates. Raises `MissingExtraError`."""
    with importing_extra("report"):
        import numpy as np
    own, other = (
        (1.0 + sample.conversions, 1.0 + sample.visitors - sample.conversions) for sample in (one, control)
    )
    special = special_functions()
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    chance = loss = 0.0
    for low, high in itertools.pairwise(_divisions(own, other)):
        half = (high - low) / 2
        rates = low + half * (nodes + 1)
        below, control_below = (special.betainc(*shape, rates) for shape in (own, other))
        chance += half * float(weights @ (_density(own, rates, np, special) * control_below))
        loss += half * float(weights @ (below * (1 - control_below)))
    return BayesReport(min(1.0, chance), loss)


def _density(shape: tuple[float, float], rates: Any, np: Any, special: Any) -> Any:
    first, second = shape
    logs = special.xlogy(first - 1, rates) + special.xlog1py(second - 1, -rates)
    return np.exp(logs - special.betaln(first, second))


def _divisions(*shapes: tuple[float, float]) -> list[float]:
    """Return the ends of the intervals in which all functions are smooth, within 0..1."""
    found = {0.0, 1.0}
    for first, second in shapes:
        whole = first + second
        mean = first / whole
        deviation = math.sqrt(mean * (1 - mean) / (whole + 1))
        found |= {min(1.0, max(0.0, mean + times * deviation)) for times in _DEVIATIONS}
    return sorted(found)
