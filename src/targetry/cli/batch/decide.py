"""`targetry decide`: decides the rows of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from targetry.cli.batch.arguments import ArtifactFile, BatchArguments, Tables, progress, with_batch_arguments
from targetry.cli.batch.tables import Output, ReportFormat, print_table
from targetry.cli.rendering.output import TableFile, print_json, print_notes

if TYPE_CHECKING:
    from targetry.batch import Diff, Forecast
    from targetry.batch.write import Totals


@with_batch_arguments
def decide(
    table: Tables,
    arguments: BatchArguments,
    out: TableFile,
    artifact: ArtifactFile = None,
    wide: Annotated[bool, typer.Option("--wide", help="A column for each location, not a row.")] = False,
    write: Annotated[
        list[str] | None,
        typer.Option(
            "--write",
            metavar="NAME",
            help="An output column, such as options or rule_key; repeatable.",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            "--keep",
            metavar="NAME",
            help="A column of the table to copy, '*' for all; repeatable.",
            show_default=False,
        ),
    ] = None,
    exposures: Annotated[
        bool, typer.Option("--exposures", help="Write an assignment log for a warehouse instead.")
    ] = False,
    output: Output = ReportFormat.TABLE,
) -> None:
    """Decide every row of a table by an artifact, and write the decisions to a file.

    \b
    [bold]Examples[/]
      targetry decide visitors.parquet --artifact rules.json --mbox hero --out decided.parquet
      targetry decide 'visits/*.parquet' -a rules.json -m hero --keep crm_id --out decided.csv
      targetry decide visitors.csv -a rules.json -m hero --exposures --out exposures.parquet
    """
    from targetry.batch import DEFAULT_OUTPUTS
    from targetry.batch import write as write_decisions

    text, client = arguments.artifact(artifact)
    with progress("deciding") as show:
        totals = write_decisions(
            table,
            out,
            text,
            client=client,
            progress=show,
            as_exposures=exposures,
            layout="wide" if wide else "long",
            outputs=write or DEFAULT_OUTPUTS,
            keep="*" if keep and "*" in keep else keep or (),
            **arguments.options(),
        )
    stats = totals.stats
    if output is ReportFormat.JSON:
        problems = [
            {"activity_id": activity, "reason": reason, "rows": rows}
            for (activity, reason), rows in stats.problems.items()
        ]
        print_json(
            {
                "rows": stats.rows,
                "decisions": stats.decisions,
                "rows_with_error": stats.rows_with_error,
                "rows_written": totals.rows_written,
                "evaluations": stats.evaluations,
                "rows_by_scalar_engine": stats.rows_by_scalar_engine,
                "missing": totals.missing,
                "unknown_locations": totals.unknown_locations,
                "problems": problems,
            }
        )
        return
    figures = [
        ("rows", stats.rows),
        ("decisions", stats.decisions),
        ("rows with an error", stats.rows_with_error),
        ("rows written", totals.rows_written),
    ]
    rows = [(name, f"{count:,}") for name, count in figures]
    print_table(f"Wrote {out}", ("", ""), rows, output, right=(1,))
    print_notes(notes_on(totals))
    print_notes(
        f"activity {activity}: {reason}; not decided for {rows:,} rows"
        for (activity, reason), rows in stats.problems.items()
    )


def notes_on(found: Totals | Forecast | Diff) -> list[str]:
    """Return notes on missing columns, and on locations that are not in the artifact."""
    notes = [f"location {name!r} is not in the artifact" for name in found.unknown_locations]
    if found.missing:
        notes.append(f"the rules read columns that the table does not have: {', '.join(found.missing)}")
    return notes
