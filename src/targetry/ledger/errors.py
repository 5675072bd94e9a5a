"""What goes wrong with a ledger, in words that tell what to do about it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from targetry.errors import TargetError

FULL: Final = "full"
LOCKED: Final = "locked"
READ_ONLY: Final = "read-only"
CORRUPT: Final = "corrupt"
UNUSABLE: Final = "unusable"
BUSY: Final = "busy"
CLOSED: Final = "closed"
FORKED: Final = "forked"
FOREIGN: Final = "foreign"
REMOVED: Final = "removed"

# SQLite's primary result code → reason, and what it means
_MEANINGS: Final = {
    sqlite3.SQLITE_FULL: (FULL, "no space is left for it"),
    sqlite3.SQLITE_BUSY: (LOCKED, "another process keeps it locked"),
    sqlite3.SQLITE_LOCKED: (LOCKED, "another process keeps it locked"),
    sqlite3.SQLITE_READONLY: (READ_ONLY, "it may not be written to"),
    sqlite3.SQLITE_CORRUPT: (CORRUPT, "its content is damaged"),
    sqlite3.SQLITE_NOTADB: (CORRUPT, "it is not a database"),
}


class LedgerError(TargetError):
    """The ledger cannot do what was asked. Nothing of it was recorded, and it may be asked again.

    `reason` is one word, for metrics: `full`, `locked`, `read-only`, `corrupt`, `unusable`, `busy` (too much is waiting
    already), `closed`, `forked`, `foreign` or `removed` (its file was removed or replaced while in use).
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(reason, text)
        self.reason = reason
        self.text = text

    def __str__(self) -> str:
        return self.text


class LedgerVersionError(LedgerError):
    """The ledger was written by a later version of Targetry. It is left as it is."""


class NoLedgerError(LedgerError):
    """There is no ledger in the folder."""


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Errors of SQLite and of the system leave as `LedgerError`."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise ledger_error(path, error) from error


def ledger_error(path: Path, error: BaseException) -> LedgerError:
    if isinstance(error, LedgerError):
        return error
    code = getattr(error, "sqlite_errorcode", None)
    reason, meaning = _MEANINGS.get((code or 0) & 0xFF, (UNUSABLE, ""))
    detail = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    told = f"{meaning} ({detail})" if meaning else detail or type(error).__name__
    return LedgerError(reason, f"the ledger {path}: {told}")
