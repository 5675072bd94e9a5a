"""Geometry of the charts over time on the page: a line for each experience, per visitor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from targetry.ledger.timeline import StepFigures, Timeline
from targetry.report.report import ActivityReport

WIDTH: Final = 100
HEIGHT: Final = 40
_METRICS: Final[tuple[tuple[str, Callable[[StepFigures], float]], ...]] = (
    ("Clicks per visitor", lambda one: one.clicks),
    ("Orders per visitor", lambda one: one.orders),
    ("Revenue per visitor", lambda one: one.revenue),
)


class ChartLine(msgspec.Struct, frozen=True):
    """Line of an experience: its position in the report, and its points as an SVG has them."""

    position: int
    points: str


class TimeChart(msgspec.Struct, frozen=True):
    """Chart of a metric from `from_ms` to `to_ms` (epoch ms); `end` is the value at its top.

    `total` is the sum of the metric over all visitors.
    """

    title: str
    total: float
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
            to_ms = timeline.from_ms + timeline.steps * timeline.step_ms
            charts.append(TimeChart(title, total, end, timeline.from_ms, to_ms, lines))
    return charts


def _points(values: dict[int, float], steps: int, end: float) -> str:
    """Return the points of a line, from the middle of its first step to that of its last."""
    places = [
        (WIDTH * (step + 0.5) / steps, HEIGHT - (HEIGHT - 2) * max(0.0, value) / end - 1)
        for step, value in values.items()
    ]
    if len(places) == 1:  # a dash, as a point has no length
        ((x, y),) = places
        places = [(x - 1, y), (x + 1, y)]
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in places)
