"""`targetry ledger`: removes, copies and exports the events of a ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from targetry.cli.inputs.ledgers import LedgerFolder
from targetry.cli.ledger.erase import erase_command
from targetry.cli.ledger.export import export_command
from targetry.cli.rendering.output import console, wrong_option
from targetry.cli.rendering.progress import progress_bar
from targetry.humanize.figures import format_bytes, pluralize
from targetry.ledger.ledger import DEFAULT_FOLDER
from targetry.ledger.location import is_address, open_ledger, open_reader
from targetry.ledger.location.copy import copy_ledger
from targetry.ledger.retention import PruneResult, Retention, estimate, parse_size, prune

ledger = typer.Typer(add_completion=False, no_args_is_help=True, help="Maintain the ledger of an edge.")

_NO_LIMIT: Final = "no limit is given: pass --keep-days, --max-size, or both"

ledger.command("export")(export_command)
ledger.command("erase")(erase_command)


def size(option: str, text: str | None) -> int | None:
    """Return the bytes of an option like `500MB`. Raises `BadParameter`."""
    if text is None:
        return None
    try:
        return parse_size(text)
    except ValueError as error:
        raise wrong_option(option, str(error)) from error


@ledger.callback()
def _ledger() -> None:
    """Maintain the ledger of an edge."""


@ledger.command("prune")
def prune_command(
    data: LedgerFolder = DEFAULT_FOLDER,
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
    retention = Retention(keep_days, size("--max-size", max_size))
    if not retention:
        raise typer.BadParameter(_NO_LIMIT)
    retention.check()
    if dry_run:
        _print(estimate(data, retention), "would be removed (about)")
        return
    with progress_bar("Removing events") as progress:
        done = prune(data, retention, progress=progress)
    _print(done, "removed")


def _is_same(source: str, target: str) -> bool:
    """Return whether two locations are one ledger, as far as their texts say."""
    if is_address(source) or is_address(target):
        return source == target
    return Path(source).resolve() == Path(target).resolve()


def _print(done: PruneResult, verb: str) -> None:
    out = console()
    out.print(f"{pluralize(done.removed, 'event')} {verb}")
    out.print(f"{format_bytes(done.before_bytes)} in use before, {format_bytes(done.after_bytes)} after")


@ledger.command("copy")
def copy_command(
    source: Annotated[
        str, typer.Argument(metavar="FROM", help="The folder of a ledger, or an address of PostgreSQL.")
    ],
    target: Annotated[str, typer.Argument(metavar="TO", help="The folder or the address of another ledger.")],
) -> None:
    """Copy the events and activities of a ledger to another one, between SQLite and PostgreSQL.

    Events that the other ledger has are left as they are, so an interrupted copy can be repeated.

    \b
    [bold]Examples[/]
      targetry ledger copy ledger postgresql://targetry@db/targetry
    """
    if _is_same(source, target):
        raise typer.BadParameter("a ledger cannot be copied to itself; give two ledgers")
    with (
        open_reader(source) as reader,
        open_ledger(target) as copied,
        progress_bar("Copying events") as progress,
    ):
        done = copy_ledger(reader, copied, progress=progress)
    console().print(
        f"{pluralize(done.copied, 'event')} copied, {pluralize(done.known, 'event')} known before"
    )
