"""Report as Markdown tables, for pull requests and pages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from targetry.cli.experiments.report_notes import (
    bayes_notes,
    day_text,
    looks_by_day,
    variance_text,
)
from targetry.humanize.figures import format_p_value, format_signed_percent
from targetry.humanize.text import truncate_text
from targetry.report.inference.metrics import METRICS, format_mean
from targetry.report.inference.statistics import Interval
from targetry.report.notes import activity_notes, describe_visitors
from targetry.report.report import ActivityReport, ExperienceReport, Report
from targetry.report.verdicts import verdict_words

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+\-.!|~])")


def render_markdown(report: Report) -> str:
    """Return a report as Markdown, with a table for each activity that has visitors."""
    parts = [_activity(report, one) for one in report.activities if one.visitors]
    return "\n".join(parts) if parts else "No visitors yet.\n"


def _activity(report: Report, activity: ActivityReport) -> str:
    is_adjusted = report.cuped is not None
    lines = [
        f"### {escape_markdown(activity.label)}",
        "",
        f"| Experience | Visitors | {METRICS[activity.metric].label} | Lift | p-value |{' Variance |' * is_adjusted} Verdict |",
        f"| --- | ---: | ---: | ---: | ---: |{' ---: |' * is_adjusted} --- |",
    ]
    lines += [_row(report, activity, one) for one in activity.experiences]
    looks = "for one look at the end" if report.fixed else "valid at every look"
    lines += ["", f"{describe_visitors(activity)}; {100 * report.confidence:g} % intervals, {looks}."]
    split = activity.sample_ratio
    if split is not None and (split.sequential or split).is_mismatch:
        observed = " / ".join(f"{number:,}" for number in split.observed)
        expected = " / ".join(f"{number:,.0f}" for number in split.expected)
        lines += ["", f"**The split differs from the shares**: {observed} visitors, {expected} expected."]
    for one in activity.experiences:
        for guardrail in one.guardrails:
            name, label = escape_markdown(one.label), METRICS[guardrail.metric].label.lower()
            lines += ["", f"Guardrail of {name}, {label} ≥ −{100 * guardrail.margin:g} %: {guardrail.state}."]
    lines += _bayes_lines(activity)
    lines += markdown_notes(activity_notes(report, activity))
    lines += _days(report, activity)
    return "\n".join(lines) + "\n"


def markdown_notes(notes: Iterable[str]) -> Iterator[str]:
    """Yield the lines of notes."""
    for note in notes:
        yield from ("", f"Note: {_escape_markup(note)}.")


def _bayes_lines(activity: ActivityReport) -> Iterator[str]:
    for note in bayes_notes(activity):
        yield from ("", f"{_escape_markup(note)}.")


def _days(report: Report, activity: ActivityReport) -> Iterator[str]:
    """Yield a table of the figures after each day, if the report has them."""
    rows = looks_by_day(activity)
    if not rows:
        return
    yield from (
        "",
        f"| Day, {escape_markdown(report.zone)} | Experience | Visitors | {METRICS[activity.metric].label} | Lift | p-value |",
    )
    yield "| --- | --- | ---: | ---: | ---: | ---: |"
    for one, look in rows:
        lift = p_value = ""
        if look.lift is not None and look.p_value is not None:
            lift, p_value = _lift(look.lift, look.lift_interval), format_p_value(look.p_value)
        yield (
            f"| {day_text(look.day)} | {escape_markdown(one.label)} | {look.visitors:,} "
            f"| {_mean(activity, look.mean)} | {lift} | {p_value} |"
        )


def _mean(activity: ActivityReport, mean: float) -> str:
    return f"{format_mean(activity.metric, mean)}{' %' if activity.metric == 'conversion' else ''}"


def _lift(value: float, interval: Interval | None) -> str:
    ends = (
        ""
        if interval is None
        else f" ({format_signed_percent(interval.low)} … {format_signed_percent(interval.high)})"
    )
    return f"{format_signed_percent(value)} %{ends}"


def _row(report: Report, activity: ActivityReport, one: ExperienceReport) -> str:
    metric = one.metrics.get(activity.metric)
    mean = lift = p_value = ""
    if metric is not None:
        mean = _mean(activity, metric.mean)
    found = activity.primary_lift(one)
    if found is not None:
        lift, p_value = _lift(found.value, found.interval), format_p_value(found.p_value)
    elif one is activity.experiences[0] and activity.has_control:
        lift = "control"
    verdict = verdict_words(one, activity, report)
    if report.cuped is not None:
        p_value += f" | {variance_text(activity, one)}"
    return f"| {escape_markdown(one.label)} | {one.figures.visitors:,} | {mean} | {lift} | {p_value} | {verdict} |"


def escape_markdown(text: str) -> str:
    """Return a name as Markdown that shows it, on one line."""
    return _escape_markup(truncate_text(text))


def _escape_markup(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
