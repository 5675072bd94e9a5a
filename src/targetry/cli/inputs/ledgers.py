"""Ledgers that commands read: their options, and opening them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from targetry.cli.rendering.progress import progress_bar
from targetry.ledger.event import ActivityDescription
from targetry.ledger.location import folder_mistake, open_upgraded
from targetry.ledger.store import LedgerReader


def _check_folder(folder: Path | None) -> Path | None:
    if folder is not None and (mistake := folder_mistake(folder)) is not None:
        raise typer.BadParameter(mistake)
    return folder


LedgerFolder = Annotated[
    Path,
    typer.Option(
        "--data",
        "-d",
        metavar="DIR",
        help="The folder in which the edge keeps its ledger.",
        callback=_check_folder,
    ),
]
LedgerOfActivity = Annotated[
    Path | None,
    typer.Option(
        "--data",
        "-d",
        metavar="DIR",
        help="A ledger with the results so far; needs --activity.",
        show_default=False,
        callback=_check_folder,
    ),
]
LedgerLocation = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        metavar="URL",
        help="A ledger in PostgreSQL, such as postgresql://user@host/db, in place of --data.",
        show_default=False,
    ),
]
LedgerActivity = Annotated[
    str | None,
    typer.Option("--activity", metavar="ID", help="Id or name of the activity.", show_default=False),
]


def open_with_progress(location: str | Path, *, segments: bool = False) -> LedgerReader:
    """Open a ledger like `open_upgraded`, with a progress bar. Raises `LedgerError`."""
    with progress_bar("Bringing the ledger up to date") as progress:
        return open_upgraded(location, segments=segments, progress=progress)


def chosen_ledger(context: typer.Context, data: Path, ledger: str | None) -> Path | str:
    """Return the ledger of a command with a default folder. Raises `BadParameter` for two."""
    source = context.get_parameter_source("data")
    is_given = source is not None and source.name != "DEFAULT"
    return ledger_of_activity(data if is_given or ledger is None else None, ledger) or data


def ledger_of_activity(data: Path | None, ledger: str | None) -> Path | str | None:
    """Return the ledger of a command, None without one. Raises `BadParameter` for two."""
    if data is not None and ledger is not None:
        raise typer.BadParameter("--data and --ledger are two ledgers; leave one out")
    return data if ledger is None else ledger


def described_activity(reader: LedgerReader, key: str) -> ActivityDescription:
    """Return the activity of a ledger with this id or name; without a description, only its id."""
    activities = reader.activities()
    found = [one for one in activities if one.id == key] or [one for one in activities if one.name == key]
    return found[0] if found else ActivityDescription(key)
