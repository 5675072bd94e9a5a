"""Asymptotic confidence sequence: intervals and p-values that are valid at every look.

The sequence is the Gaussian mixture of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas,
"Time-uniform central limit theory and asymptotic confidence sequences" (arXiv 2103.06476). It is
asymptotic: the first looks need enough converters for the variance to be known.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

DEFAULT_PLANNED: Final = 10_000
"""Visitors of both groups at which a sequence is tightest, unless a plan says otherwise."""

MIN_PLANNED: Final = 100
"""Least number of planned visitors."""


class ConfidenceSequence(msgspec.Struct, frozen=True):
    """Confidence sequence at a level, tightest at a number of visitors.

    `alpha` is one less the confidence. `planned` is the number of visitors in both groups together
    at which the interval is tightest; it must be known before the data. Any number is valid and
    changes the width only.
    """

    alpha: float
    planned: int = DEFAULT_PLANNED

    def multiplier(self, visitors: int) -> float:
        """Return the half width of the interval in standard errors.

        Args:
            visitors: Visitors of both groups together, at least 1.
        """
        growth = self._growth(visitors)
        return math.sqrt(2 * (1 + growth) / growth * (math.log1p(growth) / 2 - math.log(self.alpha)))

    def log_e_value(self, z: float, visitors: int) -> float:
        """Return the logarithm of the e-value, the evidence against no difference.

        Args:
            z: The difference in standard errors.
            visitors: Visitors of both groups together, at least 1.
        """
        growth = self._growth(visitors)
        return growth / (2 * (1 + growth)) * z * z - math.log1p(growth) / 2

    def p_value(self, z: float, visitors: int) -> float:
        """Return the p-value of one look; it is below `alpha` if the interval excludes 0."""
        return math.exp(min(0.0, -self.log_e_value(z, visitors)))

    def p_value_of_squares(self, squares: float, freedom: int, visitors: int) -> float:
        """Return the p-value of one look at several differences.

        Args:
            squares: The sum of the squared differences in standard errors.
            freedom: Number of independent differences; with one of them, as `p_value`.
            visitors: Visitors of all groups together, at least 1.
        """
        growth = self._growth(visitors)
        return math.exp(min(0.0, freedom * math.log1p(growth) / 2 - growth / (2 * (1 + growth)) * squares))

    def _growth(self, visitors: int) -> float:
        """Return the visitors in the unit of the mixture's variance, which can be tiny."""
        spread = -2 * math.log(self.alpha)
        return visitors * (spread + math.log1p(spread)) / self.planned
