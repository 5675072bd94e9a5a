"""Estimates of a group's mean with their variances: conversion rate, mean per visitor, ratio."""

from __future__ import annotations

import math
import sys

import msgspec


class Estimate(msgspec.Struct, frozen=True):
    """Estimate of a group's mean. `variance` is that of the estimate, not of a visitor's value."""

    visitors: int
    mean: float
    variance: float


class Moments(msgspec.Struct, frozen=True):
    """Sums over a group's visitors, zeros of those without a value included.

    `x` is the numerator of a metric. `y` is its denominator: the visitor's number of orders for
    revenue per order, unused otherwise.
    """

    visitors: int
    x: float
    xx: float
    y: float = 0.0
    yy: float = 0.0
    xy: float = 0.0


def rate_estimate(visitors: int, conversions: int) -> Estimate | None:
    """Return the conversion rate, None without visitors."""
    if not visitors:
        return None
    rate = conversions / visitors
    return Estimate(visitors, rate, rate * (1 - rate) / visitors)


def mean_estimate(moments: Moments) -> Estimate | None:
    """Return the mean of `x` per visitor, None for fewer than two visitors."""
    n = moments.visitors
    if n < 2:
        return None
    spread = sum_of_squares(moments.xx - moments.x * moments.x / n, moments.xx, n)
    return Estimate(n, moments.x / n, spread / (n - 1) / n)


def ratio_estimate(moments: Moments) -> Estimate | None:
    """Return the sum of `x` divided by that of `y`, with the delta method's variance.

    None for fewer than two visitors or a denominator of 0.
    """
    n = moments.visitors
    if n < 2 or not moments.y:
        return None
    ratio, mean = moments.x / moments.y, moments.y / n
    # The sum over visitors of (x - ratio · y)², whose mean is 0.
    terms = (moments.xx, -2 * ratio * moments.xy, ratio * ratio * moments.yy)
    spread = sum_of_squares(math.fsum(terms), math.fsum(map(abs, terms)), n)
    return Estimate(n, ratio, spread / (n - 1) / n / (mean * mean))


def sum_of_squares(difference: float, size: float, visitors: int) -> float:
    """Return a sum of squares that was computed as a difference; 0 if it is rounding alone.

    Args:
        difference: The sum of squares as computed.
        size: The sum of the absolute values of the terms of the difference.
        visitors: The number of values that each term adds up.
    """
    return difference if difference > (visitors + 4) * sys.float_info.epsilon * size else 0.0
