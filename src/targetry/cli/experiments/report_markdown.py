"""Report as Markdown tables, for pull requests and pages."""

from __future__ import annotations

import re

from targetry.cli.experiments.report_notes import activity_notes
from targetry.humanize.figures import format_p_value
from targetry.humanize.text import truncate_text
from targetry.report.metrics import METRICS
from targetry.report.report import ActivityReport, ExperienceReport, Report
from targetry.report.verdicts import verdict_words

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+\-.!|~])")


def render_markdown(report: Report) -> str:
    """Return a report as Markdown, with a table for each activity that has visitors."""
    parts = [_activity(report, one) for one in report.activities if one.visitors]
    return "\n".join(parts) if parts else "No visitors yet.\n"


def _activity(report: Report, activity: ActivityReport) -> str:
    lines = [
        f"### {_escape(activity.label)}",
        "",
        f"| Experience | Visitors | {METRICS[report.metric].label} | Lift | p-value | Verdict |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    lines += [_row(report, activity, one) for one in activity.experiences]
    split = activity.sample_ratio
    if split is not None and (split.sequential or split).is_mismatch:
        observed = " / ".join(f"{number:,}" for number in split.observed)
        expected = " / ".join(f"{number:,.0f}" for number in split.expected)
        lines += ["", f"**The split differs from the shares**: {observed} visitors, {expected} expected."]
    for one in activity.experiences:
        for guardrail in one.guardrails:
            name, label = _escape(one.label), METRICS[guardrail.metric].label.lower()
            lines += ["", f"Guardrail of {name}, {label} ≥ −{100 * guardrail.margin:g} %: {guardrail.state}."]
    for note in activity_notes(report, activity):
        lines += ["", f"Note: {_escape_markup(note)}."]
    return "\n".join(lines) + "\n"


def _row(report: Report, activity: ActivityReport, one: ExperienceReport) -> str:
    metric = one.metrics.get(report.metric)
    mean = lift = p_value = ""
    if metric is not None:
        mean = f"{100 * metric.mean:.2f} %" if report.metric == "conversion" else f"{metric.mean:,.4g}"
    found = one.lift if report.metric == "conversion" else metric.lift if metric else None
    if found is not None:
        lift = f"{100 * found.value:+.1f} %"
        if found.interval is not None:
            lift += f" ({100 * found.interval.low:+.1f} … {100 * found.interval.high:+.1f})"
        p_value = format_p_value(found.p_value)
    elif one is activity.experiences[0]:
        lift = "control"
    verdict = verdict_words(one, activity, report)
    return f"| {_escape(one.label)} | {one.visitors:,} | {mean} | {lift} | {p_value} | {verdict} |"


def _escape(text: str) -> str:
    return _escape_markup(truncate_text(text))


def _escape_markup(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
