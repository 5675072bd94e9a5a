"""CUPED: less variance by what is known of each visitor from before the test.

The value of a visitor is adjusted by a part of the value before the test, which no experience can
have changed (Deng, Xu, Kohavi and Walker, "Improving the sensitivity of online controlled
experiments by utilizing pre-experiment data", WSDM 2013). The adjustment leaves the difference of
the means unbiased, and a part of 1 - r² of the variance, with r the correlation of both values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from targetry.report.inference.estimates import Estimate, Moments, sum_of_squares


def adjusted_estimates(groups: Sequence[Moments]) -> list[Estimate] | None:
    """Return the adjusted means of groups that are compared.

    Args:
        groups: Sums of each group, with the values before the test as `y`.

    Returns:
        The estimates, None for a group of fewer than two visitors or values before the test that
        are all the same.
    """
    if any(one.visitors < 2 for one in groups):
        return None
    visitors = sum(one.visitors for one in groups)
    before = math.fsum(one.y for one in groups) / visitors
    squares = math.fsum(one.yy for one in groups)
    spread = sum_of_squares(squares - visitors * before * before, squares, visitors)
    if not spread:
        return None
    product = math.fsum(one.xy for one in groups) - before * math.fsum(one.x for one in groups)
    slope = product / spread
    return [_adjusted(one, slope, before) for one in groups]


def _adjusted(one: Moments, slope: float, before: float) -> Estimate:
    n, mean, own = one.visitors, one.x / one.visitors, one.y / one.visitors
    residue = mean - slope * own
    terms = (one.xx, -2 * slope * one.xy, slope * slope * one.yy, -n * residue * residue)
    spread = sum_of_squares(math.fsum(terms), math.fsum(map(abs, terms[:3])), n)
    return Estimate(n, residue + slope * before, spread / (n - 1) / n)
