"""Sequential check of a split: a p-value that is valid at every look.

The test compares the counts with those expected by a Dirichlet mixture around the shares, as in
Lindon and Malek, "Anytime-Valid Inference for Multinomial Count Data" (arXiv 2011.03567).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

STRENGTH: Final = 1000.0
"""Strength of the prior: how close to the shares the alternatives are."""

ALARM_BELOW: Final = 0.01
"""P-value below which a split counts as broken."""


def split_p_value(observed: Sequence[int], shares: Sequence[float], strength: float = STRENGTH) -> float:
    """Return the p-value of one look at the visitors of each experience.

    Args:
        observed: The visitors of each experience, in the order of `shares`.
        shares: The share of each experience, above 0; their sum is arbitrary.
        strength: The strength of the prior.
    """
    whole = math.fsum(shares)
    expected = [share / whole for share in shares]
    total = sum(observed)
    log_bayes = math.lgamma(strength) - math.lgamma(strength + total)
    for count, share in zip(observed, expected, strict=True):
        log_bayes += math.lgamma(strength * share + count) - math.lgamma(strength * share)
        log_bayes -= count * math.log(share)
    return math.exp(min(0.0, -log_bayes))
