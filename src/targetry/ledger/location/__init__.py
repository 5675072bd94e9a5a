"""Location of a ledger: a folder, or the address of a database in PostgreSQL."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from targetry.errors import OptionError
from targetry.ledger.database import BUSY_S, Progress, Warn, no_progress
from targetry.ledger.errors import LedgerError
from targetry.ledger.ledger import Ledger
from targetry.ledger.postgres.connection import SCHEMES
from targetry.ledger.postgres.ledger import PostgresLedger
from targetry.ledger.postgres.reader import PostgresReader
from targetry.ledger.reader import Reader
from targetry.ledger.store import EventStore, LedgerReader


def is_address(location: str | os.PathLike[str]) -> bool:
    """Return whether a location is an address of PostgreSQL, not a folder."""
    return isinstance(location, str) and location.lower().startswith(SCHEMES)


def folder_mistake(folder: str | os.PathLike[str]) -> str | None:
    """Return what is wrong with a folder that is an address, whose slashes a path has joined."""
    if Path(folder).parts[0:1] not in [(scheme.rstrip("/"),) for scheme in SCHEMES]:
        return None
    return "must be a folder; an address of PostgreSQL is for --ledger"


def ledger_folder(location: str | os.PathLike[str]) -> Path:
    """Return a location as a folder.

    Raises:
        OptionError: It is an address of something else, or empty.
    """
    if location == "":
        raise OptionError("ledger", "must not be empty")
    scheme, separator, _ = str(location).partition("://") if isinstance(location, str) else ("", "", "")
    if separator and scheme.isalnum():
        expected = "a folder or an address of PostgreSQL, like postgresql://user@host/database"
        raise OptionError("ledger", f"must be {expected}, not {scheme}://…")
    return Path(location)


def open_ledger(
    location: str | os.PathLike[str],
    *,
    busy_timeout: float = BUSY_S,
    warn: Warn | None = None,
    progress: Progress = no_progress,
) -> EventStore:
    """Open a ledger to record in; create it if it is missing.

    Args:
        location: A folder, or an address like `postgresql://user@host/database`.
        busy_timeout: Longest time in seconds to wait for a lock of another process, in a folder.
        warn: Called if a damaged file of a folder is replaced.
        progress: Called during an upgrade of a folder's file.

    Raises:
        OptionError: The address is wrong.
        MissingExtraError: The extra `postgres` is not installed, and the location is an address.
        LedgerError: The ledger cannot be opened.
    """
    if is_address(location):
        return PostgresLedger.open(str(location))
    return Ledger.open(ledger_folder(location), busy_timeout=busy_timeout, warn=warn, progress=progress)


def open_reader(location: str | os.PathLike[str], *, progress: Progress = no_progress) -> LedgerReader:
    """Open a snapshot of a ledger.

    Args:
        location: A folder, or an address like `postgresql://user@host/database`.
        progress: Called while events are counted into the sums.

    Raises:
        OptionError: The address is wrong.
        MissingExtraError: The extra `postgres` is not installed, and the location is an address.
        NoLedgerError: The location has no ledger.
        LedgerError: The ledger cannot be read.
    """
    if is_address(location):
        return PostgresReader.open(str(location), progress=progress)
    return Reader.open(ledger_folder(location), progress=progress)


def open_upgraded(
    location: str | os.PathLike[str], *, segments: bool = False, progress: Progress = no_progress
) -> LedgerReader:
    """Open a snapshot of a ledger; upgrade one of an earlier version first, to read its sums.

    Args:
        location: A folder, or an address like `postgresql://user@host/database`.
        segments: Whether its segments are read, whose sums are later than the others.
        progress: Called while events are counted into the sums.

    Raises:
        OptionError: The address is wrong.
        MissingExtraError: The extra `postgres` is not installed, and the location is an address.
        NoLedgerError: The location has no ledger.
        LedgerError: The ledger cannot be read.
    """
    reader = open_reader(location, progress=progress)
    if reader.has_sums and not segments:
        return reader
    reader.close()
    with contextlib.suppress(LedgerError):  # the ledger can be read as it is
        open_ledger(location, progress=progress).close()
    return open_reader(location, progress=progress)
