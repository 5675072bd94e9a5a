"""Tables of a report by segment for terminals and Markdown, with their notes in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich import box
from rich.table import Table
from rich.text import Text

from targetry.cli.experiments.report_markdown import escape_markdown, markdown_notes
from targetry.cli.rendering.output import console
from targetry.humanize.figures import format_p_value, format_signed_percent
from targetry.humanize.text import truncate_text
from targetry.report.by_segment import ActivitySegment, SegmentFigures, SegmentReport
from targetry.report.inference.metrics import METRICS, format_mean
from targetry.report.report import ActivityReport, Report, compared_positions

_MOST: Final = 20


def print_segments(report: Report, segments: SegmentReport) -> None:
    """Print a table of the segments of each activity, the largest ones."""
    out = console()
    for activity in report.activities:
        found = segments.activities.get(activity.id, ())
        if not found:
            continue
        table = Table(
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            show_edge=False,
            title=Text(f"{truncate_text(activity.label)} by {segments.label}", "bold"),
            title_justify="left",
        )
        table.add_column(segments.label, overflow="fold")
        table.add_column("Experience", max_width=30, overflow="fold")
        for heading in ("Visitors", METRICS[activity.metric].label, "Lift", "p-value"):
            table.add_column(heading, justify="right", overflow="fold")
        compared = _compared(activity)
        for part, number, one in _rows(found):
            lift, interval, p_value = _lift(one, number, compared)
            table.add_row(
                Text("" if number else _value(part)),
                Text(_name(one)),
                f"{one.visitors:,}",
                _mean(one, activity.metric),
                Text.assemble(lift, (f"\n{interval}" if interval else "", "dim")),
                p_value,
            )
        out.print()
        out.print(table)
        for note in _notes(report, segments, activity):
            out.print(Text(note, "dim"))


def render_markdown_segments(report: Report, segments: SegmentReport) -> str:
    """Return a Markdown table of the segments of each activity, the largest ones."""
    parts = []
    for activity in report.activities:
        found = segments.activities.get(activity.id, ())
        if not found:
            continue
        by = escape_markdown(segments.label)
        lines = [
            f"### {escape_markdown(activity.label)} by {by}",
            "",
            f"| {by} | Experience | Visitors | {METRICS[activity.metric].label} | Lift | p-value |",
            "| --- | --- | ---: | ---: | ---: | ---: |",
        ]
        compared = _compared(activity)
        for part, number, one in _rows(found):
            lift, interval, p_value = _lift(one, number, compared)
            ends = f" ({interval.replace('…', ' … ')})" if interval else ""
            lines.append(
                f"| {'' if number else escape_markdown(_value(part))} | {escape_markdown(_name(one))} "
                f"| {one.visitors:,} | {_mean(one, activity.metric)} | {lift}{ends} | {p_value} |"
            )
        lines += markdown_notes(_notes(report, segments, activity))
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _rows(segments: tuple[ActivitySegment, ...]) -> Iterator[tuple[ActivitySegment, int, SegmentFigures]]:
    """Yield the experiences of the largest segments, with their positions."""
    for part in segments[:_MOST]:
        for number, one in enumerate(part.experiences):
            yield part, number, one


def _value(part: ActivitySegment) -> str:
    return "unknown" if part.value is None else truncate_text(part.value)


def _name(one: SegmentFigures) -> str:
    return truncate_text(one.name if one.name is not None else f"experience {one.id}")


def _mean(one: SegmentFigures, metric: str) -> str:
    if one.mean is None:
        return "–"
    return f"{format_mean(metric, one.mean)}{' %' if metric == 'conversion' else ''}"


def _compared(activity: ActivityReport) -> list[int]:
    return compared_positions(activity.type, [one.share for one in activity.experiences])


def _lift(one: SegmentFigures, position: int, compared: Sequence[int]) -> tuple[str, str, str]:
    """Return the lift, its interval and its p-value, empty where there is none."""
    if position == 0 and compared:
        return "control", "", ""
    if position not in compared or one.mean is None:
        return "–", "", ""
    if one.lift is None or one.p_value is None:
        return "too early", "", ""
    ends = one.lift_interval
    interval = "" if ends is None else f"{format_signed_percent(ends[0])}…{format_signed_percent(ends[1])}"
    return f"{format_signed_percent(one.lift)} %", interval, format_p_value(one.p_value)


def _notes(report: Report, segments: SegmentReport, activity: ActivityReport) -> Iterator[str]:
    found = segments.activities[activity.id]
    if len(found) > _MOST:
        yield f"{len(found) - _MOST} smaller segments are not shown; -o json has all"
    if activity.id in segments.without_history:
        yield (
            "the ledger begins with the activity, so it has no earlier visits of the first visitors: "
            "of these, who came before counts as new"
        )
    for part in found:
        if part.is_mismatch and part.split_p_value is not None:
            yield (
                f"the split of {_value(part)} differs from the shares (p-value {format_p_value(part.split_p_value)}), "
                "so its figures are not reliable: look for a redirect or an error of these visitors"
            )
    for one in segments.heterogeneity.get(activity.id, ()):
        name = truncate_text(one.name if one.name is not None else f"experience {one.id}")
        test = f"Cochran's Q {one.q:.1f} of {one.segments} segments, p-value {format_p_value(one.p_value)}"
        if one.p_value < 1 - report.confidence:
            yield (
                f"the lifts of {name} differ between segments by more than chance ({test}): "
                "the lift of all visitors is a mean of different effects"
            )
        else:
            yield (
                f"the lifts of {name} differ between segments by no more than chance explains ({test}): "
                "no segment is shown to differ from the lift of all visitors"
            )
    yield (
        "segments are many looks at the same visitors: p-values are corrected for their number, "
        "intervals are not, and there are no verdicts"
    )
