"""Geometry of an activity's rates on the dashboard: a dot on its interval, on one scale from 0."""

from __future__ import annotations

import math
from typing import Final

import msgspec

from targetry.report.report import ActivityReport, Rate

_STEPS: Final = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)


class RateBar(msgspec.Struct, frozen=True):
    """Start and width of an interval, and position of the rate, in percent of the scale."""

    start: float
    width: float
    value: float


class RateBars(msgspec.Struct, frozen=True):
    """Bars of an activity's experiences; None for an experience without a rate.

    `end` is the rate at the end of the scale in percent, `control` the position of the control's
    rate, None if no experience is compared with it.
    """

    end: float
    control: float | None
    bars: list[RateBar | None]


def rate_bars(activity: ActivityReport) -> RateBars:
    """Return the bars of an activity's experiences."""
    rates = [one.rate for one in activity.experiences]
    end = _round_end(max((rate.interval.high for rate in rates if rate is not None), default=0.0))
    bars = [None if rate is None else _bar(rate, end) for rate in rates]
    is_compared = any(one.verdict is not None for one in activity.experiences)
    control = bars[0].value if is_compared and bars and bars[0] is not None else None
    return RateBars(round(100 * end, 6), control, bars)


def _bar(rate: Rate, end: float) -> RateBar:
    start, high, value = (
        round(100 * min(1.0, max(0.0, one / end)), 2)
        for one in (rate.interval.low, rate.interval.high, rate.value)
    )
    return RateBar(start, round(high - start, 2), value)


def _round_end(most: float) -> float:
    """Return the next round number, at most 1."""
    if most <= 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(most))
    return float(min(1.0, next((step * unit for step in _STEPS if step * unit >= most), 1.0)))
