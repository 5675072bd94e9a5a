"""`targetry ledger`: removes old events of a ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from targetry.cli.rendering.output import console
from targetry.cli.rendering.progress import progress_bar
from targetry.humanize.figures import format_bytes, pluralize
from targetry.ledger.ledger import DEFAULT_FOLDER
from targetry.ledger.retention import PruneResult, Retention, estimate, parse_size, prune

ledger = typer.Typer(no_args_is_help=True, help="Maintain the ledger of an edge.")

_NO_LIMIT: Final = "no limit is given: pass --keep-days, --max-size, or both"


def size(text: str | None) -> int | None:
    """Return the bytes of an option like `500MB`. Raises `BadParameter`."""
    if text is None:
        return None
    try:
        return parse_size(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@ledger.callback()
def _ledger() -> None:
    """Maintain the ledger of an edge."""


@ledger.command("prune")
def prune_command(
    data: Annotated[
        Path,
        typer.Option("--data", "-d", metavar="DIR", help="The folder in which the edge keeps its ledger."),
    ] = DEFAULT_FOLDER,
    keep_days: Annotated[
        float | None,
        typer.Option("--keep-days", metavar="N", help="Remove events older than N days.", show_default=False),
    ] = None,
    max_size: Annotated[
        str | None,
        typer.Option(
            "--max-size",
            metavar="SIZE",
            help="Remove the oldest events until the file has this size, such as 500MB or 2GB.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be removed, and remove nothing.")
    ] = False,
) -> None:
    """Remove the oldest events of a ledger, also while an edge records; reports cover the others.

    \b
    [bold]Examples[/]
      targetry ledger prune --data ledger --keep-days 90
      targetry ledger prune --data ledger --max-size 500MB --dry-run
    """
    retention = Retention(keep_days, size(max_size))
    if not retention:
        raise typer.BadParameter(_NO_LIMIT)
    retention.check()
    if dry_run:
        _print(estimate(data, retention), "would be removed (about)")
        return
    with progress_bar("Removing events") as progress:
        done = prune(data, retention, progress=progress)
    _print(done, "removed")


def _print(done: PruneResult, verb: str) -> None:
    out = console()
    out.print(f"{pluralize(done.removed, 'event')} {verb}")
    out.print(f"{format_bytes(done.before_bytes)} in use before, {format_bytes(done.after_bytes)} after")
