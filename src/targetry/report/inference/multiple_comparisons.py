"""Corrections of p-values for the number of comparisons."""

from __future__ import annotations

from collections.abc import Sequence

from targetry._runtime.lazy_import import importing_extra


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values by Holm's method, which bounds the chance of any false alarm."""
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, position in enumerate(sorted(range(len(p_values)), key=lambda one: p_values[one])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[position]))
        adjusted[position] = highest
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Return the p-values by Benjamini and Hochberg, which bounds the share of false alarms.

    Raises:
        MissingExtraError: The extra `report` is not installed.
    """
    if not p_values:
        return []
    with importing_extra("report"):
        from scipy.stats import false_discovery_control  # type: ignore[import-untyped]
    return [float(one) for one in false_discovery_control(p_values, method="bh")]
