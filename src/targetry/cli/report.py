"""`targetry report`: prints the report on a ledger."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from targetry.cli.ledger import progress_bar
from targetry.cli.output import TableOrJson, console, print_json, print_notes
from targetry.humanize.figures import (
    describe_removal,
    describe_unusable_totals,
    format_p_value,
    format_time,
    pluralize,
)
from targetry.humanize.kinds import describe_activity_type
from targetry.humanize.text import truncate_text
from targetry.ledger.errors import LedgerError
from targetry.ledger.ledger import DEFAULT_FOLDER, Ledger
from targetry.ledger.reader import Reader
from targetry.report.plot import MAX_ACTIVITIES, SUFFIXES, write_plot
from targetry.report.report import ActivityReport, ExperienceReport, Report, report_on_ledger
from targetry.report.statistics import Interval


def _plot_path(path: Path | None) -> Path | None:
    if path is not None and path.suffix.lower() not in SUFFIXES:
        raise typer.BadParameter(f"must end in {' or '.join(SUFFIXES)}, not {str(path)!r}")
    return path


def report(
    data: Annotated[
        Path,
        typer.Option("--data", "-d", metavar="DIR", help="The folder in which the edge keeps its ledger."),
    ] = DEFAULT_FOLDER,
    output: Annotated[TableOrJson, typer.Option("--output", "-o", help="Output format.")] = TableOrJson.TABLE,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE",
            help="Also plot the rates to a .png or .svg file.",
            show_default=False,
            callback=_plot_path,
        ),
    ] = None,
) -> None:
    """Report visitors, conversions and orders of each experience, with lifts and significance.

    \b
    [bold]Examples[/]
      targetry report
      targetry report -o json
      targetry report --plot rates.png
    """
    _upgrade(data)
    with Reader.open(data) as reader:
        made = report_on_ledger(reader)
    if plot is not None:
        write_plot(made, plot)
    if output is TableOrJson.JSON:
        print_json(made)
    else:
        print_report(made)
    print_notes(_plot_notes(made, plot))


def _upgrade(data: Path) -> None:
    """Upgrade a file of an earlier version for faster reports; ignore errors, as it is readable."""
    with Reader.open(data) as reader:
        if reader.has_sums:
            return
    with progress_bar("Bringing the ledger up to date") as progress, contextlib.suppress(LedgerError):
        Ledger.open(data, progress=progress).close()


def print_report(report: Report) -> None:
    """Print a table for each activity with visitors, and the names of the others."""
    out = console()
    visited = [activity for activity in report.activities if activity.visitors]
    for number, activity in enumerate(visited):
        if number:
            out.print()
        _print_activity(out, activity)
    _print_unvisited(out, [one for one in report.activities if not one.visitors], after=bool(visited))
    period = report.period
    if period is not None and period.removed:
        out.print(Text(f"\n{describe_removal(period.removed, period.from_ms, period.to_ms)}", "dim"))


def _plot_notes(report: Report, plot: Path | None) -> list[str]:
    visited = sum(1 for activity in report.activities if activity.visitors)
    if plot is None or visited <= MAX_ACTIVITIES:
        return []
    return [f"{plot} shows the {MAX_ACTIVITIES} most visited of {visited} activities"]


def _print_activity(out: Console, activity: ActivityReport) -> None:
    kind = [describe_activity_type(activity.type)] if activity.type else []
    facts = [*kind, activity.id] if activity.name is not None else kind
    out.print(
        Text.assemble(
            (truncate_text(_name(activity)), "bold"), "".join(f" · {truncate_text(fact)}" for fact in facts)
        )
    )
    out.print(Text(_counts(activity), "dim"))
    out.print(_table(activity))
    _print_split(out, activity)
    _print_exceptions(out, activity)


def _name(activity: ActivityReport) -> str:
    return activity.name if activity.name is not None else f"activity {activity.id}"


def _counts(activity: ActivityReport) -> str:
    facts = [pluralize(activity.visitors, "visitor"), pluralize(activity.impressions, "impression")]
    facts.append(pluralize(activity.conversions, "conversion"))
    if activity.orders:
        facts += [pluralize(activity.orders, "order"), f"revenue {activity.revenue:,.2f}"]
    return " · ".join(facts)


def _table(activity: ActivityReport) -> Table:
    is_compared = any(one.lift for one in activity.experiences)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("Experience", min_width=10, max_width=30, overflow="fold")
    for heading in ("Converted", "Rate", *(("Lift", "p-value") if is_compared else ())):
        table.add_column(heading, justify="right")
    if activity.orders:
        table.add_column("Orders", justify="right")
    for one in activity.experiences:
        cells = [Text(truncate_text(one.name if one.name is not None else f"experience {one.id}"))]
        cells += [_two_lines(f"{one.conversions:,}", f"of {one.visitors:,}"), _rate(one)]
        cells += _lift(one, is_control=one is activity.experiences[0]) if is_compared else []
        cells += [_two_lines(f"{one.orders:,}", f"{one.revenue:,.2f}")] if activity.orders else []
        table.add_row(*cells)
    return table


def _rate(one: ExperienceReport) -> Text:
    if one.rate is None:
        return Text("–")
    return _with_interval(f"{100 * one.rate.value:.2f} %", one.rate.interval, "{:.2f}")


def _lift(one: ExperienceReport, *, is_control: bool) -> list[Text]:
    if one.lift is None:
        return [Text("control" if is_control else "–", "dim"), Text("")]
    value, p_value = one.lift.value, one.lift.p_value
    shown = _with_interval(f"{100 * value:+.1f} %", one.lift.interval, "{:+.1f}")
    is_sure = one.lift.interval is not None and p_value < 0.05
    return [shown, Text(format_p_value(p_value), ("green" if value > 0 else "red") if is_sure else "")]


def _with_interval(text: str, interval: Interval | None, form: str) -> Text:
    if interval is None:
        return Text(text)
    low, high = (form.format(100 * end) for end in (interval.low, interval.high))
    return _two_lines(text, f"{low}…{high}")


def _two_lines(first: str, second: str) -> Text:
    return Text.assemble(first, (f"\n{second}", "dim"))


def _compared(value: float) -> str:
    shown = format_p_value(value)
    return shown if shown.startswith("<") else f"= {shown}"


def _print_split(out: Console, activity: ActivityReport) -> None:
    ratio = activity.sample_ratio
    if ratio is None:
        return
    since = f", since {format_time(activity.shares_since_ms)}" if activity.shares_since_ms else ""
    if not ratio.is_mismatch:
        out.print(Text(f"split as the shares (p {_compared(ratio.p_value)}){since}", "dim"))
        return
    got = " / ".join(f"{number:,}" for number in ratio.observed)
    expected = " / ".join(f"{number:,.0f}" for number in ratio.expected)
    out.print(Text.assemble(("the split differs from the shares", "bold red"), f"{since}: {got} visitors,"))
    out.print(Text(f"  {expected} expected (p {_compared(ratio.p_value)}); the rates are not reliable,"))
    out.print(Text("  find the cause first"))


def _print_exceptions(out: Console, activity: ActivityReport) -> None:
    if activity.switched:
        out.print(
            Text(
                f"{pluralize(activity.switched, 'visitor')} saw more than one experience and count for the first one",
                "dim",
            )
        )
    if activity.outside:
        out.print(
            Text(
                f"{pluralize(activity.outside, 'visitor')} clicked or ordered without an earlier impression",
                "dim",
            )
        )
    if activity.unusable_totals:
        out.print(Text(describe_unusable_totals(activity.unusable_totals), "dim"))


def _print_unvisited(out: Console, activities: list[ActivityReport], *, after: bool) -> None:
    if not activities:
        if not after:
            out.print("no events are recorded yet")
        return
    if after:
        out.print()
    out.print(Text("No visitors yet", "bold"))
    for activity in activities:
        out.print(Text(f"  {truncate_text(_name(activity))}"))
        _print_exceptions(out, activity)
