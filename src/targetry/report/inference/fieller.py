"""Lift of a mean over the control's, with the interval that inverts the test of the difference.

The interval holds every lift L for which "the mean is (1 + L) times the control's" is not rejected
(Fieller, "Some problems in interval estimation", Journal of the Royal Statistical Society B 16,
1954). It excludes 0 exactly if the difference of the means is significant.
"""

from __future__ import annotations

import math

from targetry.report.inference.estimates import Estimate
from targetry.report.inference.statistics import Interval


def lift_interval(one: Estimate, control: Estimate, multiplier: float) -> Interval | None:
    """Return the interval of the lift; None while the control's mean may be 0.

    Args:
        one: The estimate of an experience.
        control: The estimate of the control.
        multiplier: The half width of an interval in standard errors.
    """
    k2 = multiplier * multiplier
    a = control.mean * control.mean - k2 * control.variance
    if not a > 0 or control.mean <= 0:
        return None
    b = one.mean * control.mean
    # The discriminant without the cancellation of b² - a·c.
    inner = (
        control.mean * control.mean * one.variance
        + one.mean * one.mean * control.variance
        - k2 * control.variance * one.variance
    )
    root = multiplier * math.sqrt(max(0.0, inner))
    return Interval((b - root) / a - 1, (b + root) / a - 1)


def difference_in_errors(one: Estimate, control: Estimate) -> float:
    """Return the difference of two means in its standard errors; 0 if neither mean varies."""
    error = math.sqrt(one.variance + control.variance)
    return (one.mean - control.mean) / error if error else 0.0
