"""`targetry ledger erase`: removes all events of visitors."""

from __future__ import annotations

from typing import Annotated

import typer

from targetry.cli.inputs.ledgers import LedgerFolder, LedgerLocation, chosen_ledger
from targetry.cli.rendering.output import console, print_notes
from targetry.cli.rendering.progress import progress_bar
from targetry.humanize.figures import pluralize
from targetry.ledger.ledger import DEFAULT_FOLDER
from targetry.ledger.location.erase import erase_visitors


def erase_command(
    context: typer.Context,
    visitors: Annotated[
        list[str],
        typer.Argument(
            metavar="VISITOR",
            help="The ECID of a visitor, otherwise the tnt id without its profile location, otherwise the third-party id.",
        ),
    ],
    data: LedgerFolder = DEFAULT_FOLDER,
    ledger: LedgerLocation = None,
) -> None:
    """Remove all events of visitors, and rewrite the file; reports are as if they never came.

    Edges can record meanwhile, but not while the file is rewritten, some 10 s for a gigabyte.

    \b
    [bold]Examples[/]
      targetry ledger erase 3f9c --data ledger
      targetry ledger erase 3f9c 77ab --ledger postgresql://targetry@db/targetry
    """
    location = chosen_ledger(context, data, ledger)
    with progress_bar("Removing events") as progress:
        done = erase_visitors(location, visitors, progress=progress)
    console().print(f"{pluralize(done.removed, 'event')} removed")
    notes = [f"{name} can still hold events of the visitors: {_remedy(name)}" for name in done.files]
    if done.unknown:
        shown = ", ".join(repr(one) for one in done.unknown[:20]) + (", …" if len(done.unknown) > 20 else "")
        notes.append(f"the ledger has no event of {shown}; targetry ledger export lists its visitors")
    print_notes(notes)


def _remedy(name: str) -> str:
    if name.endswith(".db-wal"):
        return "end the edge that uses the ledger"
    return "it is a damaged file that was replaced; delete it"
