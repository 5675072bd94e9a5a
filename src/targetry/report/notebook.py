"""Reports for notebooks and programs: loaded from a ledger, and shown as HTML."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from html import escape
from typing import Any, Final

import msgspec

from targetry.humanize.figures import format_signed_percent
from targetry.ledger.location import open_upgraded
from targetry.report.by_segment import SegmentReport, report_by_segment
from targetry.report.forest import render_forest, segment_forest
from targetry.report.inference.metrics import METRICS, format_mean
from targetry.report.inference.statistics import Interval
from targetry.report.notes import activity_notes, describe_visitors
from targetry.report.options import ReportOptions
from targetry.report.panels import activity_panels, shorten_name
from targetry.report.plot import plotted_activities
from targetry.report.report import ActivityReport, ExperienceReport, Report, report_on_ledger
from targetry.report.svg import color_of, render_svg
from targetry.report.verdicts import verdict_words

_WITH_PICTURES: Final = ReportOptions(over_time=True, amounts=True)
_STYLE: Final = """<style>
.targetry-report table { border-collapse: collapse; }
.targetry-report th, .targetry-report td { padding: .3em .7em; text-align: right; vertical-align: top; }
.targetry-report th:first-child, .targetry-report td:first-child, .targetry-report td:last-child { text-align: left; }
.targetry-report small { display: block; opacity: .7; }
.targetry-report div.panels { display: grid; gap: 1em 1.5em; max-width: 60em; grid-template-columns: repeat(auto-fit, minmax(22em, 1fr)); }
</style>"""


class LoadedReport(Report, frozen=True, rename="camel"):
    """Report that a notebook shows as tables and pictures; `segments` is None without segments."""

    segments: SegmentReport | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as `targetry report -o json` prints it."""
        found = Report.to_dict(self)
        return found if self.segments is not None else {k: v for k, v in found.items() if k != "segments"}

    def _repr_html_(self) -> str:
        """Return the report as HTML, with all names escaped."""
        return "\n".join(_html(self))


def load(
    location: str | os.PathLike[str], options: ReportOptions = _WITH_PICTURES, *, by: str | None = None
) -> LoadedReport:
    """Report on a ledger. A ledger of an earlier version is upgraded first, if that is possible.

    Args:
        location: The folder of a ledger, or an address like `postgresql://user@host/database`.
        options: The options of the report. By default they have `over_time` and `amounts`, which
            the pictures show.
        by: Name of a recorded fact, such as `browser`, by whose values the report has segments, or
            `new` for those of new and returning visitors.

    Returns:
        The report; its `to_dict` is the JSON of `targetry report -o json`.

    Raises:
        OptionError: The address is wrong, or no event has the fact.
        MissingExtraError: The extra `report` is not installed, or `postgres` for an address.
        NoLedgerError: The location has no ledger.
        LedgerError: The ledger cannot be read.
    """
    with open_upgraded(location, segments=by is not None) as reader:
        made = report_on_ledger(reader, options)
        segments = None if by is None else report_by_segment(reader, by, options, made.activities)
    return LoadedReport(
        **{name: getattr(made, name) for name in msgspec.structs.asdict(made)}, segments=segments
    )


def _html(report: LoadedReport) -> Iterator[str]:
    yield f'<div class="targetry-report">{_STYLE}'
    visited = plotted_activities(report)
    for activity in visited:
        yield from _activity(activity, report)
    others = len(report.activities) - len(visited)
    if not report.activities:
        yield "<p>No events are recorded yet.</p>"
    elif others:
        yield f"<p>{others:,} more {'activity' if others == 1 else 'activities'}, with fewer visitors or none.</p>"
    yield "</div>"


def _activity(activity: ActivityReport, report: LoadedReport) -> Iterator[str]:
    yield f"<h3>{escape(shorten_name(activity.label))}</h3>"
    yield f"<p>{describe_visitors(activity)}, {activity.conversions:,} conversions, {activity.orders:,} orders</p>"
    split = activity.sample_ratio
    if split is not None and (split.sequential or split).is_mismatch:
        yield "<p><b>The split differs from the shares: find the cause first, no figure is reliable.</b></p>"
    label = METRICS[activity.metric].label
    yield f"<table><thead><tr><th>Experience</th><th>Visitors</th><th>{label}</th><th>Lift</th><th>Verdict</th></tr></thead><tbody>"
    for position, one in enumerate(activity.experiences):
        yield _row(position, one, activity, report)
    yield "</tbody></table>"
    for one in activity.experiences:
        for guardrail in one.guardrails:
            label = METRICS[guardrail.metric].label.lower()
            limit = f"{escape(shorten_name(one.label))}, {label} ≥ −{100 * guardrail.margin:g} %"
            yield f"<p>guardrail of {limit}: <b>{guardrail.state}</b></p>"
    for note in activity_notes(report, activity):
        yield f"<p><small>{escape(note)}</small></p>"
    panels = activity_panels(activity, report)
    pictures = [(one.title, one.note, render_svg(one)) for one in panels]
    if report.segments is not None and (forest := segment_forest(activity, report, report.segments)):
        pictures.append((forest.title, forest.note, render_forest(forest)))
    if pictures:
        yield '<div class="panels">'
        for title, note, svg in pictures:
            yield f"<div><b>{escape(title)}</b><small>{escape(note)}</small>{svg}</div>"
        yield "</div>"


def _row(position: int, one: ExperienceReport, activity: ActivityReport, report: Report) -> str:
    mean = lift = "–"
    if (found := activity.primary_mean(one)) is not None:
        unit = " %" if activity.metric == "conversion" else ""
        mean = _with_interval(found.value, found.interval, partial(format_mean, activity.metric), unit)
    if (difference := activity.primary_lift(one)) is not None:
        lift = _with_interval(difference.value, difference.interval, format_signed_percent, " %")
    if position == 0 and activity.has_control:
        lift = "control"
    dot = f'<span style="color:{color_of(position)}">●</span>'
    cells = (f"{one.figures.visitors:,}", mean, lift, escape(verdict_words(one, activity, report)))
    name = escape(shorten_name(one.label))
    return f"<tr><td>{dot} {name}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _with_interval(value: float, interval: Interval | None, form: Callable[[float], str], unit: str) -> str:
    is_known = interval is not None and interval.low < interval.high
    ends = "" if interval is None or not is_known else f"{form(interval.low)} … {form(interval.high)}"
    return f"{form(value)}{unit}<small>{ends}</small>"
