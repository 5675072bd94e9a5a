"""Tables of a report by segment for terminals."""

from __future__ import annotations

from typing import Final

from rich import box
from rich.table import Table
from rich.text import Text

from targetry.cli.rendering.output import console
from targetry.humanize.figures import format_p_value
from targetry.humanize.text import truncate_text
from targetry.report.by_segment import SegmentFigures, SegmentReport
from targetry.report.metrics import METRICS
from targetry.report.report import Report

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
            title=Text(f"{truncate_text(activity.label)} by {segments.by}", "bold"),
            title_justify="left",
        )
        table.add_column(segments.by, overflow="fold")
        table.add_column("Experience", max_width=30, overflow="fold")
        for heading in ("Visitors", METRICS[report.metric].label, "Lift", "p-value"):
            table.add_column(heading, justify="right")
        for part in found[:_MOST]:
            for number, one in enumerate(part.experiences):
                value = "unknown" if part.value is None else truncate_text(part.value)
                name = one.name if one.name is not None else f"experience {one.id}"
                table.add_row(
                    Text("" if number else value),
                    Text(truncate_text(name)),
                    f"{one.visitors:,}",
                    *_cells(one, report.metric, is_control=number == 0),
                )
        out.print()
        out.print(table)
        if len(found) > _MOST:
            out.print(Text(f"and {len(found) - _MOST} smaller segments; -o json has all", "dim"))
    out.print(Text("p-values are corrected for the number of segments; segments get no verdicts", "dim"))


def _cells(one: SegmentFigures, metric: str, *, is_control: bool) -> list[str]:
    if one.mean is None:
        return ["–", "", ""]
    mean = f"{100 * one.mean:.2f} %" if metric == "conversion" else f"{one.mean:,.4g}"
    if one.lift is None or one.p_value is None:
        return [mean, "control" if is_control else "too early", ""]
    return [mean, f"{100 * one.lift:+.1f} %", format_p_value(one.p_value)]
