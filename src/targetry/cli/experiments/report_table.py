"""Tables of a report for terminals."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from targetry.cli.experiments.report_notes import (
    bayes_notes,
    day_text,
    looks_by_day,
    variance_text,
)
from targetry.cli.rendering.output import console
from targetry.humanize.figures import (
    describe_removal,
    describe_uncounted,
    format_p_value,
    format_signed_percent,
    format_time,
    pluralize,
)
from targetry.humanize.kinds import describe_activity_type
from targetry.humanize.text import truncate_text
from targetry.report.inference.metrics import METRICS, format_mean
from targetry.report.inference.statistics import Interval
from targetry.report.looks import Look
from targetry.report.notes import activity_notes, describe_visitors
from targetry.report.report import ActivityReport, ExperienceReport, Report
from targetry.report.verdicts import verdict_words


def print_report(report: Report) -> None:
    """Print a table for each activity with visitors, and the names of the others."""
    out = console()
    visited = [activity for activity in report.activities if activity.visitors]
    for number, activity in enumerate(visited):
        if number:
            out.print()
        _print_activity(out, report, activity)
    _print_unvisited(out, report, [one for one in report.activities if not one.visitors], after=bool(visited))
    period = report.period
    if period is not None and period.removed:
        out.print(Text(f"\n{describe_removal(period.removed, period.from_ms, period.to_ms)}", "dim"))
    if report.uncounted:
        out.print(Text(f"\n{describe_uncounted(report.uncounted)}", "yellow"))


def _print_activity(out: Console, report: Report, activity: ActivityReport) -> None:
    kind = [describe_activity_type(activity.type)] if activity.type else []
    facts = [*kind, activity.id] if activity.name is not None else kind
    out.print(
        Text.assemble(
            (truncate_text(activity.label), "bold"),
            "".join(f" · {truncate_text(fact)}" for fact in facts),
        )
    )
    out.print(Text(_counts(report, activity), "dim"))
    out.print(_table(report, activity))
    _print_verdicts(out, report, activity)
    _print_split(out, activity)
    _print_guardrails(out, activity)
    _print_bayes(out, activity)
    _print_notes(out, report, activity)
    is_broken = any(one.verdict == "split is broken" for one in activity.experiences)
    if not report.fixed and not is_broken and activity.has_lifts:
        out.print(Text("lifts and p-values are valid at every look", "dim"))
    _print_days(out, report, activity)


def _counts(report: Report, activity: ActivityReport) -> str:
    facts = [describe_visitors(activity), pluralize(activity.impressions, "impression")]
    facts.append(pluralize(activity.conversions, "conversion"))
    if activity.orders:
        facts += [pluralize(activity.orders, "order"), f"revenue {activity.revenue:,.2f}"]
    return " · ".join(facts)


def _table(report: Report, activity: ActivityReport) -> Table:
    is_compared = activity.has_lifts
    is_conversion = activity.metric == "conversion"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("Experience", max_width=30, overflow="fold")
    headings = ["Converted", "Rate"] if is_conversion else ["Visitors", METRICS[activity.metric].label]
    for heading in (*headings, *(("Lift", "p-value") if is_compared else ())):
        table.add_column(heading, justify="right", overflow="fold")
    is_adjusted = is_compared and report.cuped is not None
    if is_adjusted:
        table.add_column("Var.", justify="right", overflow="fold")
    if activity.orders:
        table.add_column("Orders", justify="right", overflow="fold")
    for one in activity.experiences:
        cells, shown = [Text(truncate_text(one.label))], one.figures
        if is_conversion:
            cells += [_two_lines(f"{shown.conversions:,}", f"of {shown.visitors:,}")]
        else:
            cells += [Text(f"{shown.visitors:,}")]
        cells += [_mean(activity, one)]
        cells += _lift_cells(report, activity, one) if is_compared else []
        cells += [Text(variance_text(activity, one))] if is_adjusted else []
        cells += [_two_lines(f"{shown.orders:,}", f"{shown.revenue:,.2f}")] if activity.orders else []
        table.add_row(*cells)
    return table


def _mean(activity: ActivityReport, one: ExperienceReport) -> Text:
    mean = activity.primary_mean(one)
    if mean is None:
        return Text("–")
    form = partial(format_mean, activity.metric)
    unit = " %" if activity.metric == "conversion" else ""
    return _with_interval(f"{form(mean.value)}{unit}", mean.interval, form)


def _lift_cells(report: Report, activity: ActivityReport, one: ExperienceReport) -> list[Text]:
    found = activity.primary_lift(one)
    if found is None:
        return [Text("control" if one is activity.experiences[0] else "–", "dim"), Text("")]
    is_sure = found.interval is not None and found.p_value < 1 - report.confidence
    color = ("green" if found.value > 0 else "red") if is_sure and one.verdict in ("better", "worse") else ""
    return [
        _with_interval(f"{format_signed_percent(found.value)} %", found.interval, format_signed_percent),
        Text(format_p_value(found.p_value), color),
    ]


def _with_interval(text: str, interval: Interval | None, form: Callable[[float], str]) -> Text:
    if interval is None or interval.low == interval.high:  # no value differs from another one yet
        return Text(text)
    return _two_lines(text, f"{form(interval.low)}…{form(interval.high)}")


def _two_lines(first: str, second: str) -> Text:
    return Text.assemble(first, (f"\n{second}", "dim"))


_STYLES = {
    "better: ship": "bold green",
    "worse: stop": "bold red",
    "guardrail is harmed: stop": "bold red",
    "split is broken": "bold red",
}


def _print_verdicts(out: Console, report: Report, activity: ActivityReport) -> None:
    for one in activity.experiences[1:]:
        if words := verdict_words(one, activity, report):
            name = truncate_text(one.label)
            out.print(Text.assemble(f"{name}: ", (words, _STYLES.get(words, ""))))


def _compared(value: float) -> str:
    shown = format_p_value(value)
    return shown if shown.startswith("<") else f"= {shown}"


def _print_split(out: Console, activity: ActivityReport) -> None:
    ratio = activity.sample_ratio
    if ratio is None:
        return
    check = ratio.sequential or ratio
    since = f", since {format_time(activity.shares_since_ms)}" if activity.shares_since_ms else ""
    if not check.is_mismatch:
        out.print(Text(f"the split follows the shares (p {_compared(check.p_value)}){since}", "dim"))
        return
    got = " / ".join(f"{number:,}" for number in ratio.observed)
    expected = " / ".join(f"{number:,.0f}" for number in ratio.expected)
    out.print(Text.assemble(("the split differs from the shares", "bold red"), f"{since}: {got} visitors,"))
    out.print(Text(f"  {expected} expected (p {_compared(check.p_value)}); the rates are not reliable,"))
    out.print(Text("  find the cause first: a redirect or an error in one experience, bots,"))
    out.print(Text("  impressions that are sent late, shares that were changed elsewhere"))


def _print_guardrails(out: Console, activity: ActivityReport) -> None:
    for one in activity.experiences[1:]:
        for guardrail in one.guardrails:
            label = METRICS[guardrail.metric].label.lower()
            out.print(
                Text.assemble(
                    f"guardrail of {truncate_text(one.label)}, {label} ≥ −{100 * guardrail.margin:g} %: ",
                    (guardrail.state, "bold red" if guardrail.state == "harmed" else ""),
                )
            )


def _print_bayes(out: Console, activity: ActivityReport) -> None:
    for note in bayes_notes(activity):
        out.print(Text(note))


def _print_notes(out: Console, report: Report, activity: ActivityReport) -> None:
    for note in activity_notes(report, activity):
        out.print(Text(note, "dim"))


def _print_days(out: Console, report: Report, activity: ActivityReport) -> None:
    """Print the figures of each day, if the report has them."""
    rows = looks_by_day(activity)
    if not rows:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column(f"Day, {report.zone}", overflow="fold")
    table.add_column("Experience", max_width=30, overflow="fold")
    for heading in ("Visitors", METRICS[activity.metric].label, "Lift", "p-value"):
        table.add_column(heading, justify="right", overflow="fold")
    for one, look in rows:
        table.add_row(
            day_text(look.day),
            truncate_text(one.label),
            f"{look.visitors:,}",
            *_look_cells(activity, look),
        )
    out.print(table)


def _look_cells(activity: ActivityReport, look: Look) -> list[Text]:
    form = partial(format_mean, activity.metric)
    mean = _with_interval(form(look.mean), look.interval, form)
    if look.lift is None or look.p_value is None:
        return [mean, Text("–"), Text("")]
    return [
        mean,
        _with_interval(f"{format_signed_percent(look.lift)} %", look.lift_interval, format_signed_percent),
        Text(format_p_value(look.p_value)),
    ]


def _print_unvisited(out: Console, report: Report, activities: list[ActivityReport], *, after: bool) -> None:
    if not activities:
        if not after:
            out.print("no events are recorded yet")
        return
    if after:
        out.print()
    out.print(Text("No visitors yet", "bold"))
    for activity in activities:
        out.print(Text(f"  {truncate_text(activity.label)}"))
        _print_notes(out, report, activity)
