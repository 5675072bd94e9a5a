"""`targetry report`: prints the report on a ledger."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from targetry.cli.experiments.report_markdown import render_markdown
from targetry.cli.experiments.report_table import print_report
from targetry.cli.experiments.segment_table import print_segments, render_markdown_segments
from targetry.cli.inputs.ledgers import LedgerFolder, LedgerLocation, chosen_ledger, open_with_progress
from targetry.cli.inputs.percentages import parse_fraction
from targetry.cli.inputs.plots import plot_path
from targetry.cli.rendering.output import print_json, print_notes, wrong_option
from targetry.cli.rendering.progress import working
from targetry.ledger.ledger import DEFAULT_FOLDER
from targetry.report.by_segment import report_by_segment
from targetry.report.options import METRIC_NAMES, Guardrail, ReportOptions
from targetry.report.plot import MAX_ACTIVITIES, MAX_DETAILED, write_plot
from targetry.report.report import Report, report_on_ledger, without_series

HARMED: Final = 3
"""Exit status for a harmed guardrail."""

BROKEN_SPLIT: Final = 4
"""Exit status for a split that differs from the shares."""

_NAMED_CHARACTERS: Final = 10


class ReportOutput(StrEnum):
    """Output as a table, JSON or Markdown."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


def _guardrail(text: str) -> Guardrail:
    name, _, margin = text.partition(":")
    if not margin:
        raise wrong_option("--guardrail", f"must be a metric and its margin like revenue:2%, not {text!r}")
    if name not in METRIC_NAMES:
        raise wrong_option(
            "--guardrail", f"the metric must be one of {', '.join(METRIC_NAMES)}, not {name!r}"
        )
    return Guardrail(name, parse_fraction("--guardrail", margin, is_probability=True))


def report(
    context: typer.Context,
    data: LedgerFolder = DEFAULT_FOLDER,
    ledger: LedgerLocation = None,
    output: Annotated[
        ReportOutput, typer.Option("--output", "-o", help="Output format.")
    ] = ReportOutput.TABLE,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE",
            help="Also plot the rates, and their course over the days, to a .png or .svg file.",
            show_default=False,
            callback=plot_path,
        ),
    ] = None,
    fixed: Annotated[
        bool, typer.Option("--fixed", help="Figures for one look at the end, instead of for every look.")
    ] = False,
    metric: Annotated[
        str | None,
        typer.Option(
            "--metric",
            metavar="NAME",
            help=f"Primary metric: {', '.join(METRIC_NAMES)}. Default: the folder's, or conversion.",
            show_default=False,
        ),
    ] = None,
    planned: Annotated[
        int | None,
        typer.Option("--planned", metavar="N", help="Planned number of visitors.", show_default=False),
    ] = None,
    confidence: Annotated[
        str, typer.Option("--confidence", metavar="PERCENT", help="Confidence of the intervals.")
    ] = "95%",
    cap: Annotated[
        float | None,
        typer.Option(
            "--cap",
            metavar="AMOUNT",
            help="Amount up to which a visitor's revenue counts; choose it before the test.",
            show_default=False,
        ),
    ] = None,
    cap_percentile: Annotated[
        str | None,
        typer.Option(
            "--cap-percentile",
            metavar="PERCENT",
            help="With --fixed: cap at this percentile of the revenue of an activity's buyers.",
            show_default=False,
        ),
    ] = None,
    cuped: Annotated[
        int | None,
        typer.Option(
            "--cuped",
            metavar="DAYS",
            help="Adjust lifts by what visitors did in the days before their first impression.",
            show_default=False,
        ),
    ] = None,
    bayes: Annotated[
        bool,
        typer.Option("--bayes", help="Also the chance to beat the control, which looking often misleads."),
    ] = False,
    margin: Annotated[
        str | None,
        typer.Option(
            "--margin",
            metavar="PERCENT",
            help="Largest lift that counts as no difference.",
            show_default=False,
        ),
    ] = None,
    guardrail: Annotated[
        list[str] | None,
        typer.Option(
            "--guardrail",
            metavar="METRIC:PERCENT",
            help="Metric that an experience may lower by less than this; repeatable.",
            show_default=False,
        ),
    ] = None,
    over_time: Annotated[bool, typer.Option("--over-time", help="Also the figures after each day.")] = False,
    zone: Annotated[
        str, typer.Option("--zone", metavar="NAME", help="Time zone of the days, such as Europe/Berlin.")
    ] = "UTC",
    activities: Annotated[
        Path | None,
        typer.Option(
            "--activities",
            metavar="DIR",
            help="A folder of activities: its plans, primary metrics, cap and guardrails, where no option has them.",
            show_default=False,
        ),
    ] = None,
    activity: Annotated[
        list[str] | None,
        typer.Option(
            "--activity",
            metavar="ID",
            help="Only the activity with this id or name; repeatable.",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            metavar="NAME",
            help="Also the figures by a fact that the edge recorded, such as browser, or by new: new and returning visitors.",
            show_default=False,
        ),
    ] = None,
    exit_code: Annotated[
        bool,
        typer.Option(
            "--exit-code",
            help=f"Exit with {HARMED} for a harmed guardrail, {BROKEN_SPLIT} for a broken split.",
        ),
    ] = False,
) -> None:
    """Report visitors, conversions and orders of each experience, with lifts and verdicts.

    Lifts and p-values are valid however often one looks; --fixed gives those for one look.

    \b
    [bold]Examples[/]
      targetry report
      targetry report --planned 60000 --guardrail revenue:2%
      targetry report --activities activities
      targetry report --activity 482910 -o json
      targetry report --by browser
      targetry report --by new
      targetry report --plot rates.png
    """
    options = ReportOptions(
        fixed=fixed,
        confidence=parse_fraction("--confidence", confidence, is_probability=True),
        metric=metric,
        planned=planned,
        cap=cap,
        cap_percentile=None
        if cap_percentile is None
        else parse_fraction("--cap-percentile", cap_percentile, is_probability=True),
        cuped=cuped,
        bayes=bayes,
        margin=None if margin is None else parse_fraction("--margin", margin, is_probability=True),
        guardrails=tuple(map(_guardrail, guardrail or ())),
        over_time=over_time or plot is not None,
        amounts=plot is not None,
        zone=zone,
    )
    if activities is not None:
        # Reports without plans need no YAML.
        from targetry.cli.experiments.activity_plans import plans_of_folder

        options = options.with_folders([plans_of_folder(activities)])
    with (
        open_with_progress(chosen_ledger(context, data, ledger), segments=by is not None) as reader,
        working("Reading the ledger"),
    ):
        made = report_on_ledger(reader, options)
        if activity:
            chosen = {one.id: one for one in map(made.activity, activity)}
            made = msgspec.structs.replace(made, activities=tuple(chosen.values()))
        segments = None if by is None else report_by_segment(reader, by, options, made.activities)
    boxes = ""
    if plot is not None:
        with working("Drawing the plot"):
            boxes = write_plot(made, plot, segments)
    if not over_time:
        made = without_series(made)
    if output is ReportOutput.JSON:
        print_json(made if segments is None else {**made.to_dict(), "segments": segments})
    elif output is ReportOutput.MARKDOWN:
        sys.stdout.write(render_markdown(made))
        if segments is not None:
            sys.stdout.write(f"\n{render_markdown_segments(made, segments)}")
    else:
        print_report(made)
        if segments is not None:
            print_segments(made, segments)
    print_notes(_plot_notes(made, plot, boxes))
    if exit_code and (status := _status(made)):
        raise typer.Exit(status)


def _status(report: Report) -> int:
    """Return the exit status: a broken split counts more than a harmed guardrail."""
    splits = [one.sample_ratio for one in report.activities if one.sample_ratio is not None]
    if any((split.sequential or split).is_mismatch for split in splits):
        return BROKEN_SPLIT
    experiences = (one for activity in report.activities for one in activity.experiences)
    states = {guardrail.state for one in experiences for guardrail in one.guardrails}
    return HARMED if "harmed" in states else 0


def _plot_notes(report: Report, plot: Path | None, boxes: str) -> Iterator[str]:
    if plot is None:
        return
    visited = sum(1 for activity in report.activities if activity.visitors)
    course = f"the course of the {MAX_DETAILED} most visited"
    if visited > MAX_ACTIVITIES:
        yield f"{plot} shows the {MAX_ACTIVITIES} most visited of {visited} activities, and {course}"
    elif visited > MAX_DETAILED:
        yield f"{plot} shows {course} of {visited} activities"
    if boxes:
        yield boxes_note(plot, boxes)


def boxes_note(plot: Path, characters: str) -> str:
    """Return the note on characters of names that a plot shows as boxes."""
    more = "…" if len(characters) > _NAMED_CHARACTERS else ""
    return (
        f"{plot} shows boxes in place of {characters[:_NAMED_CHARACTERS]}{more}, which no installed font has; "
        "install a font with them, or plot to an .svg file"
    )
