"""Cochran's Q: test that the lifts of several segments are equal.

Lifts are compared as logarithms of ratios of means, weighted by their precision (Cochran, "The
combination of estimates from different experiments", Biometrics 10, 1954). Without a difference
between the segments, Q has a chi-square distribution. The p-value for every look takes the mixture
of `confidence_sequence` over all differences at once; with two segments both are one formula.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from targetry.report.inference.confidence_sequence import ConfidenceSequence
from targetry.report.inference.estimates import Estimate
from targetry.report.inference.statistics import chi_square_p_value


class Heterogeneity(msgspec.Struct, frozen=True, rename="camel"):
    """Result of Cochran's test of `segments` lifts, as multiples of the common one.

    `q` is the statistic. `i_squared` is the part of the differences, within 0..1, that is more than
    chance explains on average.
    """

    segments: int
    q: float
    i_squared: float
    p_value: float


def heterogeneity(
    pairs: Sequence[tuple[Estimate, Estimate]], sequence: ConfidenceSequence | None
) -> Heterogeneity | None:
    """Test whether the lifts of segments differ.

    Args:
        pairs: The estimates of an experience and of its control in each segment.
        sequence: The sequence of a p-value for every look; None for one look.

    Returns:
        The result, None for fewer than two segments whose means are above 0 and vary.

    Raises:
        MissingExtraError: The extra `report` is not installed.
    """
    ratios = [
        (math.log(one.mean / control.mean), 1 / variance, one.visitors + control.visitors)
        for one, control in pairs
        if one.mean > 0
        and control.mean > 0
        and (variance := one.variance / one.mean**2 + control.variance / control.mean**2) > 0
    ]
    if len(ratios) < 2:
        return None
    common = math.fsum(ratio * weight for ratio, weight, _ in ratios) / math.fsum(w for _, w, _ in ratios)
    q = math.fsum(weight * (ratio - common) ** 2 for ratio, weight, _ in ratios)
    freedom = len(ratios) - 1
    if sequence is None:
        p_value = chi_square_p_value(q, freedom)
    else:
        visitors = sum(count for _, _, count in ratios)
        p_value = sequence.p_value_of_squares(q, freedom, visitors)
    return Heterogeneity(len(ratios), q, max(0.0, 1 - freedom / q) if q > 0 else 0.0, p_value)
