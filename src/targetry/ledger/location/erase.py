"""Erasure of visitors from a ledger in a folder or in PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Sequence

from targetry.ledger.database import Progress, no_progress
from targetry.ledger.event import check_texts
from targetry.ledger.location import is_address, ledger_folder
from targetry.ledger.postgres.retention import erase_postgres
from targetry.ledger.retention import ErasureResult, erase


def erase_visitors(
    location: str | os.PathLike[str], visitors: Sequence[str], *, progress: Progress = no_progress
) -> ErasureResult:
    """Remove all events of visitors; reports are then as if these were never recorded.

    An edge can record meanwhile, but not while the file of a folder is rewritten at the end.

    Args:
        location: A folder, or an address like `postgresql://user@host/database`.
        visitors: The visitors, as in the events: the ECID of a request, otherwise the tnt id
            without its profile location, otherwise the third-party id.
        progress: Called with the number of events removed so far, and of those to remove.

    Raises:
        OptionError: The address is wrong, or a visitor is not a text that a ledger can hold.
        MissingExtraError: The extra `postgres` is not installed, and the location is an address.
        NoLedgerError: The location has no ledger.
        LedgerError: The ledger cannot be written to. Completed transactions stand.
    """
    check_texts("visitors", visitors)
    if is_address(location):
        return erase_postgres(str(location), visitors, progress=progress)
    return erase(ledger_folder(location), visitors, progress=progress)
