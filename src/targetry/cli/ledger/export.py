"""`targetry ledger export`: writes tables of a ledger for a warehouse."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from targetry._runtime.lazy_import import importing_extra
from targetry.cli.inputs.ledgers import LedgerFolder, LedgerLocation, chosen_ledger, open_with_progress
from targetry.cli.rendering.output import TableFile, console, print_notes, wrong_option
from targetry.cli.rendering.progress import progress_bar
from targetry.humanize.figures import pluralize
from targetry.ledger.ledger import DEFAULT_FOLDER
from targetry.ledger.location.export import export_table
from targetry.ledger.selection import EventSelection
from targetry.ledger.store import LedgerReader


class ExportedTable(StrEnum):
    """Table of a ledger."""

    EVENTS = "events"
    EXPOSURES = "exposures"
    SUMS = "sums"


def _epoch_ms(option: str, text: str | None) -> int | None:
    """Return a date or a time, which is UTC by default, in epoch milliseconds.

    Raises:
        typer.BadParameter: It is neither.
    """
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise wrong_option(
            option, f"must be a date or a time like 2026-11-27 or 2026-11-27T18:00Z, not {text!r}"
        ) from None
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)


def export_command(
    context: typer.Context,
    out: TableFile,
    data: LedgerFolder = DEFAULT_FOLDER,
    ledger: LedgerLocation = None,
    table: Annotated[
        ExportedTable,
        typer.Option(
            "--table",
            help="All events; the first impression of each visitor and activity; the sums of each day.",
        ),
    ] = ExportedTable.EVENTS,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="TIME", help="First time, in UTC without a zone.", show_default=False
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="Time that the rows precede.", show_default=False),
    ] = None,
    activity: Annotated[
        list[str] | None,
        typer.Option("--activity", metavar="ID", help="Only this activity; repeatable.", show_default=False),
    ] = None,
) -> None:
    """Write the events, exposures or sums of a ledger to a file, which appears when complete.

    \b
    [bold]Examples[/]
      targetry ledger export --data ledger --out events.parquet
      targetry ledger export --data ledger --table exposures --since 2026-11-01 --out log.parquet
      targetry ledger export --data ledger --table sums --activity 482910 --out sums.csv
    """
    with importing_extra("batch"):
        from targetry.batch.write import write_batches
    first, end = _epoch_ms("--since", since) or 0, _epoch_ms("--until", until)
    if end is not None and end <= first:
        start = "1970" if since is None else f"--since {since}"
        raise wrong_option("--until", f"must be after {start}, not {until!r}")
    selection = EventSelection(since_ms=first, until_ms=end, activities=tuple(activity or ()))
    with (
        open_with_progress(chosen_ledger(context, data, ledger)) as reader,
        progress_bar("Exporting rows") as progress,
    ):
        written = write_batches(export_table(reader, table.value, selection, progress=progress), out)
        notes = [_unknown_activity(one) for one in activity or () if not _has_activity(reader, one)]
    console().print(f"{pluralize(written, 'row')} written to {out}", markup=False, highlight=False)
    if not (written or notes) and (since or until or activity):
        notes = ["no row matches --since, --until and --activity"]
    print_notes(notes)


def _has_activity(reader: LedgerReader, activity: str) -> bool:
    if any(one.id == activity for one in reader.activities()):
        return True
    return not reader.has_sums or activity in reader.sums()


def _unknown_activity(activity: str) -> str:
    return f"--activity {activity}: the ledger has no activity with this id; targetry report lists the ids"
