"""`targetry forecast`: counts what the rows of a table get."""

from __future__ import annotations

from typing import Any

from targetry.cli.batch.arguments import ArtifactFile, BatchArguments, Tables, progress, with_batch_arguments
from targetry.cli.batch.decide import notes_on
from targetry.cli.batch.plots import PlotFile, plot_forecast
from targetry.cli.batch.tables import Output, ReportFormat, print_table
from targetry.cli.rendering.output import print_json, print_notes


@with_batch_arguments
def forecast(
    table: Tables,
    arguments: BatchArguments,
    artifact: ArtifactFile = None,
    plot: PlotFile = None,
    output: Output = ReportFormat.TABLE,
) -> None:
    """Count how many rows of a table get each experience, and test the splits.

    \b
    [bold]Examples[/]
      targetry forecast visitors.parquet --artifact rules.json --mbox hero
      targetry forecast visitors.parquet -a rules.json -m hero --page-load -o json
      targetry forecast visitors.parquet -a rules.json -m hero --plot shares.png
    """
    from targetry.batch import forecast as make_forecast

    text, client = arguments.artifact(artifact)
    with progress("deciding") as show:
        found = make_forecast(table, text, client=client, progress=show, **arguments.options())
    if plot is not None:
        plot_forecast(found, plot)
    if output is ReportFormat.JSON:
        print_json(found)
    else:
        _print(found, output)
    print_notes(notes_on(found))
    print_notes(
        f"{one.location}: the split of {one.activity_name or one.activity_id} differs from its windows by more than chance"
        for one in found.activities
        if one.is_mismatch
    )


def _print(found: Any, output: ReportFormat) -> None:
    rows = [
        (
            activity.location,
            activity.activity_name or activity.activity_id,
            one.experience_name or one.experience_id or "",
            f"{one.rows:,}",
            f"{one.share:.2f} %",
            "" if one.expected_share is None else f"{one.expected_share:.2f} %",
        )
        for activity in found.activities
        for one in activity.experiences
    ]
    heads = ("Location", "Activity", "Experience", "Rows", "Share", "Expected")
    print_table(
        f"{found.rows:,} rows, {found.rows_with_error:,} with an error", heads, rows, output, right=(3, 4, 5)
    )
    reasons = [
        (label, reason, f"{count:,}")
        for label, counts in found.reasons.items()
        for reason, count in counts.items()
    ]
    if not found.rows:
        return
    print_table("Reasons", ("Location", "Reason", "Rows"), reasons, output, right=(2,))
    overlap = [(f"{number}", f"{count:,}") for number, count in found.overlap.items()]
    print_table("Visitors by number of activities", ("Activities", "Rows"), overlap, output, right=(0, 1))
