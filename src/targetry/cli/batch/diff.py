"""`targetry diff`: compares what two artifacts give the rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.text import Text

from targetry.cli.batch.arguments import BatchArguments, progress, with_batch_arguments
from targetry.cli.batch.decide import notes_on
from targetry.cli.batch.plots import PlotFile, plot_changes, side_name
from targetry.cli.batch.tables import Output, ReportFormat, print_table
from targetry.cli.inputs.percentages import parse_percentage
from targetry.cli.rendering.output import console, print_json, print_notes
from targetry.errors import OptionError
from targetry.humanize.audience import describe_audience
from targetry.humanize.text import escape_control_characters

_BAR = 30  # characters of the longest bar


def _file(*names: str, help: str) -> Any:
    return typer.Option(*names, metavar="FILE", help=help, show_default=False)


@with_batch_arguments
def diff(
    arguments: BatchArguments,
    before: Annotated[str, _file("--before", help="The artifact now, as in `targetry artifact`.")],
    after: Annotated[str, _file("--after", help="The artifact then.")],
    table: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TABLE", help="Files or globs: .parquet, .arrow, .csv, .jsonl.", show_default=False
        ),
    ] = None,
    visitors: Annotated[
        int | None,
        typer.Option(
            "--visitors",
            min=1,
            help="Compare for so many made-up visitors without a table.",
            show_default=False,
        ),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            "--allow",
            metavar="KINDS",
            help="Kinds of changes that do not count: content, experience, activity, gained, lost, remote.",
            show_default=False,
        ),
    ] = None,
    at_most: Annotated[
        str, typer.Option("--at-most", metavar="PERCENT", help="Share of the rows that may change.")
    ] = "0%",
    examples: Annotated[int, typer.Option("--examples", min=0, help="Visitors to show of each change.")] = 3,
    changed: Annotated[
        Path | None,
        _file(
            "--changed", help="Also write the rows that change to a .parquet, .arrow, .csv or .jsonl file."
        ),
    ] = None,
    plot: PlotFile = None,
    output: Output = ReportFormat.TABLE,
) -> None:
    """Compare two artifacts: which visitors of a table get something else, and why.

    The exit status is 0 if nothing changes, 2 if something does, and 1 for an error.

    \b
    [bold]Examples[/]
      targetry diff visitors.parquet --before live.json --after rules.json --mbox hero
      targetry diff --visitors 100000 --before live.json --after rules.json --mbox hero
      targetry diff visits.parquet --before git:main:rules.json --after rules.json -m hero
      targetry diff visits.parquet --before a.json --after b.json -m hero --allow content
      targetry diff visits.parquet --before a.json --after b.json -m hero --plot moves.png
    """
    from targetry.batch import CHANGE_KINDS, ArtifactComparison, made_up_visitors, write_batches
    from targetry.batch.stream import batches_of
    from targetry.batch.write import check_output

    allowed = [kind.strip() for text in allow or () for kind in text.split(",")]
    for kind in allowed:
        if kind not in CHANGE_KINDS:
            raise OptionError("--allow", f"there is no kind {kind!r}, only {', '.join(CHANGE_KINDS)}")
    limit = parse_percentage("--at-most", at_most)
    if (not table) == (visitors is None):
        raise OptionError("table", "pass either a table or --visitors")
    source: Any = table if visitors is None else made_up_visitors(visitors)
    old, client = arguments.artifact(before)
    new, _ = arguments.artifact(after)
    comparison = ArtifactComparison(old, new, examples=examples, client=client, **arguments.options())
    reader = comparison.reader(source)
    if changed is not None:
        with _errors_of_changed():
            check_output(changed, reader)
    with progress("comparing") as show:
        for batch in batches_of(reader):
            comparison.add(batch)
            show(comparison.counts.rows, reader.rows)
    found = comparison.diff()
    if changed is not None:
        again: Any = table if visitors is None else made_up_visitors(visitors)
        with _errors_of_changed():
            write_batches(comparison.changed_rows(again), changed)
    if plot is not None:
        plot_changes(found, plot)
    share = found.share_changed(allowed)  # type: ignore[arg-type]
    if output is ReportFormat.JSON:
        print_json({**msgspec.to_builtins(found), "share_changed": share})
    else:
        _print(found, share, allowed, output)
    print_notes(notes_on(found))
    if visitors is not None:
        print_notes(
            ["the visitors are made up: only splits are compared, conditions on other facts hold for none"]
        )
    if share > limit:
        raise typer.Exit(2)


@contextmanager
def _errors_of_changed() -> Iterator[None]:
    """Raise errors of a path as those of `--changed`."""
    try:
        yield
    except OptionError as error:
        raise OptionError("--changed" if error.path == "path" else error.path, error.reason) from error


def _print(found: Any, share: float, allowed: Sequence[str], output: ReportFormat) -> None:
    count = len(found.changes)
    title = f"{count} change{'' if count == 1 else 's'} for {found.rows:,} rows"
    title += f"; at most {share:.2f} % of them change at one location"
    if allowed:
        title += f", without {' and '.join(allowed)}"
    if not found.changes:
        title = f"nothing changes for {found.rows:,} rows"
    if found.rows_with_error:
        title += f"; {found.rows_with_error:,} rows have an error"
    if output is ReportFormat.MARKDOWN:
        rows = [
            (
                one.location,
                one.kind,
                side_name(one.before),
                side_name(one.after),
                _why(one),
                f"{one.rows:,}",
                f"{one.share:.2f} %",
                ", ".join(one.examples),
            )
            for one in found.changes
        ]
        heads = ("Location", "Change", "Before", "After", "Cause", "Rows", "Share", "Visitors")
        print_table(title, heads, rows, output, right=(5, 6))
        return
    out = console()
    out.print(escape_control_characters(title))
    most = max((one.rows for one in found.changes), default=1)
    for one in found.changes:
        bar = "█" * max(1, round(_BAR * one.rows / most))
        lines = [
            f"  {side_name(one.before)} → {side_name(one.after)}",
            f"  cause: {_why(one)}",
            *([f"  visitors: {', '.join(one.examples)}"] if one.examples else []),
        ]
        out.print()
        out.print(Text.assemble((f"{bar:{_BAR}}", "cyan"), f" {one.share:6.2f} %  {one.rows:,} rows"))
        out.print(Text.assemble((escape_control_characters(one.location), "bold"), f": {one.kind}"))
        for line in lines:
            out.print(escape_control_characters(line), soft_wrap=True)


def _why(change: Any) -> str:
    before, after = change.rule_before, change.rule_after
    if before is None or after is None:
        return str(change.cause)
    of = f"{change.cause} of {after.experience_name or after.experience_id}"
    if change.cause == "split":
        return f"{of}, {_window(before)} → {_window(after)}"
    if change.cause == "audience":
        return f"{of}, {' → '.join(describe_audience([side.audience]) for side in (before, after))}"
    return of


def _window(side: Any) -> str:
    low, high = side.window
    return f"{low:g}–{high:g} %"
