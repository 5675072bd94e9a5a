"""Plot of a report: for each activity the rates of its experiences with their intervals."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from targetry._runtime.lazy_import import importing_extra
from targetry.errors import TargetError
from targetry.report.plan import Plan, PlanOptions, sample_curve
from targetry.report.report import ActivityReport, ExperienceReport, Report

SUFFIXES: Final = (".png", ".svg")
MAX_ACTIVITIES: Final = 20
_MAX_CHARACTERS: Final = 40
_WIDTH, _HEAD, _ROW, _PLAN_HEIGHT = 8.0, 1.0, 0.34, 4.5  # inches
_CONTROL, _OTHER, _FAINT = "#6b7280", "#2563eb", "#9ca3af"
# Text stays text in an SVG, and a `$` in a name does not start a formula.
_STYLE: Final = {"svg.fonttype": "none", "svg.hashsalt": "targetry", "text.parse_math": False, "font.size": 9}


class PlotError(TargetError):
    """A plot cannot be drawn; the message has the reason."""


def plotted_activities(report: Report) -> list[ActivityReport]:
    """Return the most visited activities, at most `MAX_ACTIVITIES`, in the report's order."""
    visited = [activity for activity in report.activities if activity.visitors]
    most = sorted(visited, key=lambda activity: -activity.visitors)[:MAX_ACTIVITIES]
    return [activity for activity in visited if activity in most]


def write_plot(report: Report, path: Path) -> None:
    """Draw a report into a `.png` or `.svg` file.

    Raises:
        PlotError: The suffix is wrong, no activity has visitors, or the file cannot be written.
        MissingExtraError: The extra `report` is not installed.
    """
    activities = plotted_activities(report)
    if not activities:
        raise PlotError("there is nothing to plot: no activity has visitors yet")
    heights = [_HEAD + _ROW * len(_shown(activity)) for activity in activities]

    def draw(figure: Any) -> None:
        panels = figure.subplots(len(activities), squeeze=False, height_ratios=heights)
        for panel, activity in zip(panels[:, 0], activities, strict=True):
            _draw(panel, activity)

    _write(path, sum(heights), draw)


def write_plan_plot(options: PlanOptions, plan: Plan, path: Path) -> None:
    """Draw the visitors that a range of lifts needs into a `.png` or `.svg` file.

    Raises:
        PlotError: The suffix is wrong, the plan has no lift, or the file cannot be written.
        MissingExtraError: The extra `report` is not installed.
    """
    if plan.lift is None:
        raise PlotError("there is nothing to plot: the visitors cannot show any lift")
    lift = plan.lift
    lifts = [lift * factor / 20 for factor in range(10, 61)]
    visitors = sample_curve(options, lifts)

    def draw(figure: Any) -> None:
        panel = figure.subplots()
        panel.plot([100 * one for one in lifts], visitors, color=_OTHER, linewidth=2)
        panel.plot([100 * lift], [plan.visitors], "o", color=_OTHER, markersize=7)
        panel.annotate(
            f"{plan.visitors:,}", (100 * lift, plan.visitors), xytext=(8, 8), textcoords="offset points"
        )
        panel.set_yscale("log")
        panel.xaxis.set_major_formatter(lambda value, _: f"{value:+.4g} %")
        panel.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        panel.yaxis.set_minor_formatter(
            lambda value, _: f"{value:,.0f}" if f"{value:.0e}"[0] in "235" else ""
        )
        panel.set_title("Visitors that a lift needs", loc="left", weight="bold")
        kind = "for one look at the end" if options.fixed else "of a test that may stop at any time"
        panel.set_xlabel(f"lift, {kind}, {100 * plan.power:g} % power", color=_CONTROL)
        panel.grid(which="both", alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)

    _write(path, _PLAN_HEIGHT, draw)


def _write(path: Path, height: float, draw: Callable[[Any], None]) -> None:
    if path.suffix.lower() not in SUFFIXES:
        raise PlotError(f"{path}: a plot is written to a file whose name ends in {' or '.join(SUFFIXES)}")
    try:
        path.write_bytes(_render(path.suffix.lower()[1:], height, draw))
    except OSError as error:
        raise PlotError(f"{path}: {error.strerror or error}") from error


def _render(kind: str, height: float, draw: Callable[[Any], None]) -> bytes:
    with importing_extra("report"):
        import matplotlib
        from matplotlib.figure import Figure
    out = io.BytesIO()
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():  # type: ignore[arg-type]  # its keys are literals there
        # Characters that the font lacks are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph")
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        draw(figure)
        figure.savefig(out, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None)
    return out.getvalue()


def _draw(panel: Any, activity: ActivityReport) -> None:
    shown = _shown(activity)
    is_compared = any(one.lift for one in shown)
    for row, one in enumerate(shown):
        _draw_rate(panel, row, one, is_control=is_compared and one is activity.experiences[0])
    panel.set_yticks(range(len(shown)), [_label(one) for one in shown])
    panel.set_ylim(len(shown) - 0.5, -0.5)
    panel.set_xlim(left=0)
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:.4g} %")
    panel.set_title(_truncate(activity.name or f"activity {activity.id}"), loc="left", weight="bold")
    panel.set_xlabel("visitors who converted, with 95 % interval", color=_CONTROL)
    panel.grid(axis="x", alpha=0.3)
    panel.spines[["top", "right"]].set_visible(False)


def _draw_rate(panel: Any, row: int, one: ExperienceReport, *, is_control: bool) -> None:
    assert one.rate is not None
    value, interval = 100 * one.rate.value, one.rate.interval
    color = _CONTROL if is_control else _OTHER
    ends = [[max(0.0, value - 100 * interval.low)], [max(0.0, 100 * interval.high - value)]]
    panel.errorbar(
        value, row, xerr=ends, fmt="o", color=color, capsize=4, linewidth=2, markersize=6, clip_on=False
    )
    if is_control:
        panel.axvline(value, color=_FAINT, linewidth=1, linestyle="--", zorder=0)


def _shown(activity: ActivityReport) -> list[ExperienceReport]:
    return [one for one in activity.experiences if one.rate is not None]


def _label(one: ExperienceReport) -> str:
    return f"{_truncate(one.name or f'experience {one.id}')}\n{one.conversions:,} of {one.visitors:,}"


def _truncate(text: str) -> str:
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return text if len(text) <= _MAX_CHARACTERS else f"{text[: _MAX_CHARACTERS - 1]}…"
