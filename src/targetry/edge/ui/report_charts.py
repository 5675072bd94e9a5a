"""Geometry of the report's charts on the page: means on their intervals, and lines over time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from targetry.ledger.timeline import FALLBACK_EVENTS, StepFigures, Timeline

if TYPE_CHECKING:
    from targetry.report.report import ActivityReport, Rate

_STEPS: Final = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)
_WIDTH: Final = 100
_HEIGHT: Final = 40
_METRICS: Final[tuple[tuple[str, Callable[[StepFigures], float]], ...]] = (
    ("Clicks per visitor", lambda one: one.clicks),
    ("Orders per visitor", lambda one: one.orders),
    ("Revenue per visitor", lambda one: one.revenue),
)


class RateBar(msgspec.Struct, frozen=True):
    """Start and width of an interval, and position of the mean, in percent of the scale."""

    start: float
    width: float
    value: float


class RateBars(msgspec.Struct, frozen=True):
    """Bars of an activity's experiences; None for an experience without a mean.

    `end` is the mean at the end of the scale, a rate in percent. `control` is the position of the
    control's mean, None if no experience is compared with it.
    """

    end: float
    control: float | None
    bars: list[RateBar | None]


def rate_bars(activity: ActivityReport) -> RateBars:
    """Return the bars of an activity's experiences, of the means of its primary metric."""
    means = [activity.primary_mean(one) for one in activity.experiences]
    is_rate = activity.metric == "conversion"
    end = _round_end(max((mean.interval.high for mean in means if mean is not None), default=0.0))
    end = min(1.0, end) if is_rate else end
    bars = [None if mean is None else _bar(mean, end) for mean in means]
    is_compared = any(one.verdict is not None for one in activity.experiences)
    control = bars[0].value if is_compared and bars and bars[0] is not None else None
    return RateBars(round(100 * end if is_rate else end, 6), control, bars)


def _bar(mean: Rate, end: float) -> RateBar:
    start, high, value = (
        round(100 * min(1.0, max(0.0, one / end)), 2)
        for one in (mean.interval.low, mean.interval.high, mean.value)
    )
    return RateBar(start, round(high - start, 2), value)


def _round_end(most: float) -> float:
    """Return the next round number."""
    if most <= 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(most))
    return next((step * unit for step in _STEPS if step * unit >= most), 10 * unit)


class ChartLine(msgspec.Struct, frozen=True):
    """Line of an experience: its position in the report, and its points as an SVG has them."""

    position: int
    points: str


class TimeChart(msgspec.Struct, frozen=True):
    """Chart of a metric from `from_ms` to `to_ms` (epoch ms); `end` is the value at its top.

    `total` is the sum of the metric over all visitors, in words.
    """

    title: str
    total: str
    end: float
    from_ms: int
    to_ms: int
    lines: list[ChartLine]


def time_charts(activity: ActivityReport, timeline: Timeline | None) -> list[TimeChart]:
    """Return a chart for each metric that is not 0, none without a timeline."""
    if timeline is None:
        return []
    found = timeline.figures.get(activity.id, {})
    charts = []
    for title, amount in _METRICS:
        values = {
            position: {
                step: amount(one) / one.visitors for step, one in sorted(found.get(experience.id, {}).items())
            }
            for position, experience in enumerate(activity.experiences)
        }
        end = max((value for steps in values.values() for value in steps.values()), default=0.0)
        if end > 0:
            lines = [
                ChartLine(position, _points(steps, timeline.steps, end))
                for position, steps in values.items()
                if steps
            ]
            total = sum(amount(one) for steps in found.values() for one in steps.values())
            counted = f"{total:,.0f} in {_counted(timeline)}"
            to_ms = timeline.from_ms + timeline.steps * timeline.step_ms
            charts.append(TimeChart(title, counted, end, timeline.from_ms, to_ms, lines))
    return charts


def _counted(timeline: Timeline) -> str:
    return "this time" if timeline.is_complete else f"the latest {FALLBACK_EVENTS:,} events"


def _points(values: dict[int, float], steps: int, end: float) -> str:
    """Return the points of a line, from the middle of its first step to that of its last."""
    places = [
        (_WIDTH * (step + 0.5) / steps, _HEIGHT - (_HEIGHT - 2) * max(0.0, value) / end - 1)
        for step, value in values.items()
    ]
    if len(places) == 1:  # a dash, as a point has no length
        ((x, y),) = places
        places = [(x - 1, y), (x + 1, y)]
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in places)
