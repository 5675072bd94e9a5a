"""Plot of a report: for each activity the rates of its experiences, and their panels over time."""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from targetry._runtime.lazy_import import importing_extra
from targetry.errors import TargetError
from targetry.report.by_segment import SegmentReport
from targetry.report.forest import Forest, segment_forest
from targetry.report.inference.metrics import METRICS
from targetry.report.inference.plan import Plan, PlanOptions, sample_curve
from targetry.report.panels import Panel, activity_panels, shorten_name
from targetry.report.report import ActivityReport, ExperienceReport, Rate, Report
from targetry.report.svg import color_of

SUFFIXES: Final = (".png", ".svg")
MAX_ACTIVITIES: Final = 20
MAX_BARS: Final = 20
MAX_DETAILED: Final = 4
"""Activities with panels: the most visited ones."""

_WIDTH, _WIDE, _HEAD, _ROW, _PANEL, _PLAN_HEIGHT = 8.0, 10.0, 1.0, 0.34, 2.6, 4.5  # inches
_RATE_ROW, _BAR_ROW = 0.46, 0.42  # inches
_NOTE_WIDTH: Final = 68  # characters below a panel
_CONTROL, _OTHER, _FAINT = "#6b7280", "#2563eb", "#9ca3af"
_BOXES: Final = "Last Resort High-Efficiency"  # matplotlib's font of boxes
# Text stays text in an SVG, and a `$` in a name does not start a formula.
_STYLE: Final = {"svg.fonttype": "none", "svg.hashsalt": "targetry", "text.parse_math": False, "font.size": 9}


class PlotBar(NamedTuple):
    """Bar of a value in percent, with its label and a text; `expected` is marked by a line."""

    label: str
    value: float
    text: str
    expected: float | None = None


class BarPanel(NamedTuple):
    """Bars with one scale, and a note on it."""

    title: str
    note: str
    bars: Sequence[PlotBar]


class PlotError(TargetError):
    """A plot cannot be drawn; the message has the reason."""


def plotted_activities(report: Report) -> list[ActivityReport]:
    """Return the most visited activities, at most `MAX_ACTIVITIES`, in the report's order."""
    visited = [activity for activity in report.activities if activity.visitors]
    most = sorted(visited, key=lambda activity: -activity.visitors)[:MAX_ACTIVITIES]
    return [activity for activity in visited if activity in most]


def write_plot(report: Report, path: Path, segments: SegmentReport | None = None) -> str:
    """Draw a report into a `.png` or `.svg` file: rates, and what the report has of each day.

    Args:
        report: The report.
        path: The file.
        segments: The segments whose lifts are drawn, too.

    Returns:
        The characters that no installed font has, which a `.png` shows as boxes.

    Raises:
        PlotError: The suffix is wrong, no activity has visitors, or the file cannot be written.
        MissingExtraError: The extra `report` is not installed.
    """
    activities = plotted_activities(report)
    if not activities:
        raise PlotError("there is nothing to plot: no activity has visitors yet")
    detailed = sorted(activities, key=lambda one: -one.visitors)[:MAX_DETAILED]
    panels = [activity_panels(one, report) if one in detailed else [] for one in activities]
    forests = [
        segment_forest(one, report, segments) if segments and one in detailed else None for one in activities
    ]
    heights = []
    for activity, drawn, forest in zip(activities, panels, forests, strict=True):
        heights += [_HEAD + _RATE_ROW * len(_shown(activity)), *[_PANEL] * math.ceil(len(drawn) / 2)]
        heights += [_HEAD + _ROW * len(forest.rows)] if forest else []

    def draw(figure: Any) -> None:
        grid = figure.add_gridspec(len(heights), 2, height_ratios=heights)
        row = 0
        for activity, drawn, forest in zip(activities, panels, forests, strict=True):
            # Grids of their own, since their labels are wider than those of the panels.
            _draw_rates(figure.add_subplot(grid[row, :].subgridspec(1, 1)[0]), activity, report)
            for number, panel in enumerate(drawn):
                _draw_panel(figure.add_subplot(grid[row + 1 + number // 2, number % 2]), panel)
            row += 1 + math.ceil(len(drawn) / 2)
            if forest:
                _draw_forest(figure.add_subplot(grid[row, :].subgridspec(1, 1)[0]), forest)
                row += 1

    return _write(
        path,
        sum(heights),
        draw,
        title=f"Report: {', '.join(shorten_name(one.label) for one in activities)}",
        width=_WIDE if any(panels) or any(forests) else _WIDTH,
    )


def write_plan_plot(options: PlanOptions, plan: Plan, path: Path) -> None:
    """Draw the visitors that a range of lifts needs into a `.png` or `.svg` file.

    Raises:
        PlotError: The suffix is wrong, the plan has no lift, or the file cannot be written.
        MissingExtraError: The extra `report` is not installed.
    """
    if plan.lift is None:
        raise PlotError("there is nothing to plot: the visitors cannot show any lift")
    lift = plan.lift
    curve = sample_curve(options, lift)

    def draw(figure: Any) -> None:
        panel = figure.subplots()
        panel.plot([100 * one for one, _ in curve], [one for _, one in curve], color=_OTHER, linewidth=2)
        panel.plot([100 * lift], [plan.visitors], "o", color=_OTHER, markersize=7)
        side = 1 if lift > 0 else -1  # the curve falls to the right of a gain, and to the left of a loss
        panel.annotate(
            f"{plan.visitors:,}",
            (100 * lift, plan.visitors),
            xytext=(8 * side, 8),
            textcoords="offset points",
            ha="left" if lift > 0 else "right",
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

    _write(path, _PLAN_HEIGHT, draw, title=f"{plan.visitors:,} visitors for a lift of {100 * lift:+.4g} %")


def write_bars(panels: Sequence[BarPanel], path: Path) -> str:
    """Draw panels of bars into a `.png` or `.svg` file.

    Returns:
        The characters that no installed font has, which a `.png` shows as boxes.

    Raises:
        PlotError: The suffix is wrong, there is no bar, or the file cannot be written.
        MissingExtraError: The extra `report` is not installed.
    """
    drawn = [one for one in panels if one.bars][:MAX_ACTIVITIES]
    if not drawn:
        raise PlotError("there is nothing to plot: no row has a result to count")
    heights = [_HEAD + _BAR_ROW * len(one.bars[:MAX_BARS]) for one in drawn]

    def draw(figure: Any) -> None:
        axes = figure.subplots(len(drawn), squeeze=False, height_ratios=heights)
        for one, panel in zip(axes[:, 0], drawn, strict=True):
            _draw_bars(one, panel)

    return _write(path, sum(heights), draw, title=", ".join(shorten_name(one.title) for one in drawn))


def _draw_bars(axes: Any, panel: BarPanel) -> None:
    bars = panel.bars[:MAX_BARS]
    axes.barh(range(len(bars)), [one.value for one in bars], height=0.6, color=_OTHER, alpha=0.85)
    most = max(max(one.value, one.expected or 0.0) for one in bars) or 1.0
    for row, one in enumerate(bars):
        if one.expected is not None:
            axes.plot([one.expected] * 2, [row - 0.42, row + 0.42], color="black", linewidth=1.5)
        end = max(one.value, one.expected or 0.0)
        axes.text(end + 0.015 * most, row, one.text, va="center", color=_CONTROL)
    axes.set_yticks(range(len(bars)), ["\n".join(map(shorten_name, one.label.split("\n"))) for one in bars])
    axes.set_ylim(len(bars) - 0.5, -0.5)
    axes.set_xlim(0, 1.4 * most)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.4g} %")
    axes.set_title(shorten_name(panel.title), loc="left", weight="bold")
    axes.set_xlabel(panel.note, color=_CONTROL, loc="left")
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _write(
    path: Path, height: float, draw: Callable[[Any], None], *, title: str, width: float = _WIDTH
) -> str:
    """Write a figure with a title for screen readers, and return the characters without a font."""
    if path.suffix.lower() not in SUFFIXES:
        raise PlotError(f"{path}: a plot is written to a file whose name ends in {' or '.join(SUFFIXES)}")
    try:
        content, missing = _render(path.suffix.lower()[1:], (width, height), draw, title)
        path.write_bytes(content)
    except OSError as error:
        raise PlotError(f"{path}: {error.strerror or error}") from error
    return missing


def _render(
    kind: str, size: tuple[float, float], draw: Callable[[Any], None], title: str
) -> tuple[bytes, str]:
    with importing_extra("report"):
        import matplotlib
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    out = io.BytesIO()
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():  # type: ignore[arg-type]  # its keys are literals there
        # Characters that no font has are drawn as boxes, and returned.
        warnings.filterwarnings("ignore", message="Glyph")
        figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.08))
        draw(figure)
        # A viewer of an SVG chooses the fonts itself.
        missing = _add_fonts(figure) if kind == "png" else ""
        metadata = {"Title": title, **({"Date": None} if kind == "svg" else {})}
        figure.savefig(out, format=kind, dpi=150, metadata=metadata)
    return out.getvalue(), missing


def _add_fonts(figure: Any) -> str:
    """Let texts use other installed fonts for characters that theirs lacks; return the others."""
    from matplotlib import rcParams
    from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
    from matplotlib.text import Text

    texts = [one for one in figure.findobj(Text) if not one.get_text().isascii()]
    drawn = {letter for one in texts for letter in one.get_text() if letter.isprintable()}
    families = list(rcParams["font.family"])
    usual = get_font(findfont(FontProperties(family=families))).get_charmap()
    missing = {letter for letter in drawn if ord(letter) not in usual}
    for font in fontManager.ttflist:
        if not missing:
            break
        try:
            has = get_font(font.fname).get_charmap()
        except (OSError, RuntimeError):  # fonts of bitmaps, and files that are gone
            continue
        if font.name != _BOXES and (found := {letter for letter in missing if ord(letter) in has}):
            families.append(font.name)
            missing -= found
    for one in texts:
        one.set_fontfamily(families)
    return "".join(sorted(missing))


def _draw_rates(axes: Any, activity: ActivityReport, report: Report) -> None:
    shown = _shown(activity)
    axes.set_title(shorten_name(activity.label), loc="left", weight="bold", fontsize=12)
    if not shown:
        axes.set_axis_off()
        axes.text(
            0,
            0.5,
            "no visitors since the shares changed",
            color=_CONTROL,
            transform=axes.transAxes,
            va="center",
        )
        return
    is_rate = activity.metric == "conversion"
    lows = [0.0]
    for row, (position, one) in enumerate(shown):
        mean = activity.primary_mean(one)
        if mean is not None:
            scale = 100.0 if is_rate else 1.0
            is_control = activity.has_lifts and position == 0
            _draw_mean(axes, row, mean, scale, color_of(position), is_control=is_control)
            lows.append(scale * mean.interval.low)
    axes.set_yticks(range(len(shown)), [_label(one, is_rate=is_rate) for _, one in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(left=min(lows))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.4g} %" if is_rate else f"{value:,.4g}")
    label = "visitors who converted" if is_rate else METRICS[activity.metric].label.lower()
    kind = "for one look" if is_rate or report.fixed else "valid at every look"
    axes.set_xlabel(
        f"{label}, with {100 * report.confidence:g} % intervals {kind}",
        color=_CONTROL,
        loc="left",
        fontsize=8,
    )
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_mean(axes: Any, row: int, mean: Rate, scale: float, color: str, *, is_control: bool) -> None:
    value, interval = scale * mean.value, mean.interval
    ends = [[max(0.0, value - scale * interval.low)], [max(0.0, scale * interval.high - value)]]
    axes.errorbar(
        value, row, xerr=ends, fmt="o", color=color, capsize=4, linewidth=2, markersize=6, clip_on=False
    )
    if is_control:
        axes.axvline(value, color=_FAINT, linewidth=1, linestyle="--", zorder=0)


def _draw_panel(axes: Any, panel: Panel) -> None:
    for line in panel.lines:
        color = color_of(line.position)
        for band in line.bands:
            axes.fill_between(band.xs, band.lows, band.highs, color=color, alpha=0.16, linewidth=0)
        for outline in line.outlines:
            for edge in (outline.lows, outline.highs):
                axes.plot(outline.xs, edge, color=color, linewidth=0.9, linestyle=":")
        axes.plot(line.xs, line.ys, color=color, linewidth=1.8, solid_joinstyle="round")
    for level in panel.levels:
        color = _FAINT if level.position is None else color_of(level.position)
        axes.axhline(level.y, color=color, linewidth=1, linestyle="--", zorder=1)
    for number, mark in enumerate(panel.marks):
        color = _CONTROL if mark.position is None else color_of(mark.position)
        axes.axvline(mark.x, color=color, linewidth=1, linestyle=":")
        is_left = mark.x < sum(panel.x_range) / 2
        axes.annotate(
            mark.text,
            (mark.x, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(4 if is_left else -4, -11 - 12 * number),
            textcoords="offset points",
            ha="left" if is_left else "right",
            color=color,
            weight="bold",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
        )
    axes.set_xlim(panel.x_range)
    axes.set_ylim(panel.y_range)
    axes.set_xticks([x for x, _ in panel.x_ticks], [text for _, text in panel.x_ticks])
    axes.set_yticks([y for y, _ in panel.y_ticks], [text for _, text in panel.y_ticks])
    axes.minorticks_off()
    axes.set_title(panel.title, loc="left", weight="bold")
    axes.set_xlabel(textwrap.fill(panel.note, _NOTE_WIDTH), color=_CONTROL, loc="left", fontsize=8)
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_forest(axes: Any, forest: Forest) -> None:
    low, high = forest.x_range
    several = len({one.position for one in forest.rows}) > 1
    for number, one in enumerate(forest.rows):
        color = color_of(one.position)
        if one.interval is not None:
            axes.plot(one.interval, [number, number], color=color, linewidth=3, alpha=0.45)
        if one.lift is not None:
            axes.plot([one.lift], [number], "o", color=color, markersize=6)
        axes.text(
            1.01, number, one.figures, transform=axes.get_yaxis_transform(), va="center", color=_CONTROL
        )
        if several and one.starts and number:
            axes.axhline(number - 0.5, color=_FAINT, linewidth=0.6)
    axes.axvline(0, color=_CONTROL, linewidth=1)
    for position, lift in forest.overall:
        axes.axvline(lift, color=color_of(position), linewidth=1, linestyle="--", zorder=1)
    labels = [
        f"{shorten_name(one.segment)}, " + (one.name if several else f"{one.visitors:,} visitors")
        for one in forest.rows
    ]
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlim(low, high)
    axes.set_xticks([x for x, _ in forest.x_ticks], [text for _, text in forest.x_ticks])
    axes.set_title(forest.title, loc="left", weight="bold")
    axes.set_xlabel(forest.note, color=_CONTROL, loc="left", fontsize=8)
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _shown(activity: ActivityReport) -> list[tuple[int, ExperienceReport]]:
    return [
        (position, one) for position, one in enumerate(activity.experiences) if one.figures.rate is not None
    ]


def _label(one: ExperienceReport, *, is_rate: bool) -> str:
    figures = one.figures
    counts = (
        f"{figures.conversions:,} of {figures.visitors:,}" if is_rate else f"{figures.visitors:,} visitors"
    )
    return f"{shorten_name(one.label)}\n{counts}"
