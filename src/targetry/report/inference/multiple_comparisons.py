"""Corrections of p-values for the number of comparisons.

- Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
  Statistics 6 (1979), 65-70.
- Benjamini and Hochberg, "Controlling the false discovery rate: a practical and powerful approach
  to multiple testing", Journal of the Royal Statistical Society B 57 (1995), 289-300.
"""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values by Holm's method, which bounds the chance of any false alarm."""
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, position in enumerate(_order(p_values)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[position]))
        adjusted[position] = highest
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Return the p-values by Benjamini and Hochberg, which bounds the share of false alarms."""
    adjusted = [0.0] * len(p_values)
    lowest = 1.0
    for rank, position in reversed(list(enumerate(_order(p_values), start=1))):
        lowest = min(lowest, len(p_values) / rank * p_values[position])
        adjusted[position] = lowest
    return adjusted


def _order(p_values: Sequence[float]) -> list[int]:
    return sorted(range(len(p_values)), key=lambda position: p_values[position])
