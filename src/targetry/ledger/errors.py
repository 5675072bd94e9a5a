"""Errors of a ledger, and the translation of errors of SQLite and of the system."""

from __future__ import annotations

import contextlib
import errno
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

# SQLite's primary result code → reason, and its meaning
_MEANINGS: Final = {
    sqlite3.SQLITE_FULL: (FULL, "no space is left on the disk"),
    sqlite3.SQLITE_BUSY: (LOCKED, "another process keeps it locked"),
    sqlite3.SQLITE_LOCKED: (LOCKED, "another process keeps it locked"),
    sqlite3.SQLITE_READONLY: (READ_ONLY, "it is read-only"),
    sqlite3.SQLITE_CORRUPT: (CORRUPT, "its content is damaged"),
    sqlite3.SQLITE_NOTADB: (CORRUPT, "it is not a database"),
}
# Error number of the system → reason
_SYSTEM_REASONS: Final = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EROFS: READ_ONLY,
    errno.EACCES: READ_ONLY,
}


class LedgerError(TargetError):
    """A ledger could not carry out a call, which can be repeated: no event is recorded twice.

    `reason` is one word, which the edge's metrics have, too: `full`, `locked`, `read-only`,
    `corrupt`, `unusable`, `busy` (too many events are waiting), `closed`, `forked`, `foreign` (of
    another application or a later format), `removed` (the file was removed or replaced while in
    use), `unreachable` (in PostgreSQL; events can have been recorded) or `missing`.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(reason, text)
        self.reason = reason
        self.text = text

    def __str__(self) -> str:
        return self.text


class LedgerVersionError(LedgerError):
    """The ledger was written by a later version of Targetry. Its file stays unchanged."""


class NoLedgerError(LedgerError):
    """The folder has no ledger."""


def missing_ledger(folder: Path) -> NoLedgerError:
    """Return the error for a folder without a ledger."""
    if folder.exists() and not folder.is_dir():
        return NoLedgerError("missing", f"there is no ledger in {folder}: it is not a folder")
    return NoLedgerError(
        "missing", f"there is no ledger in {folder}: no edge has recorded there; check the folder"
    )


@contextlib.contextmanager
def translate_errors(path: Path) -> Iterator[None]:
    """Raise errors of SQLite and of the system as `LedgerError`."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise ledger_error(path, error) from error


def ledger_error(path: Path, error: BaseException) -> LedgerError:
    """Return an error of SQLite or of the system as a `LedgerError` with the ledger's path."""
    if isinstance(error, LedgerError):
        return error
    code = getattr(error, "sqlite_errorcode", None)
    reason, meaning = _MEANINGS.get((code or 0) & 0xFF, (UNUSABLE, ""))
    detail = str(error)
    if isinstance(error, OSError):
        reason = _SYSTEM_REASONS.get(error.errno or 0, reason)
        detail = error.strerror or detail
    cause = f"{meaning} ({detail})" if meaning else detail or type(error).__name__
    return LedgerError(reason, f"the ledger {path}: {cause}")
