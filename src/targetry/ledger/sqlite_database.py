"""Transactions of a ledger in SQLite, under its cross-process write lock."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from targetry.ledger.database import LedgerFile
from targetry.ledger.errors import LedgerError, ledger_error
from targetry.ledger.write_lock import WriteLock


class SQLiteDatabase:
    """Runs writes in transactions of a ledger's file."""

    def __init__(self, file: LedgerFile, lock: WriteLock) -> None:
        self._file = file
        self._lock = lock

    def run(self, writes: Sequence[Callable[[sqlite3.Connection], Any]]) -> list[Any]:
        """Run writes in one transaction, and return their results once they are on the disk.

        Raises:
            LedgerError: The file cannot be written.
            sqlite3.Error: A statement failed.
        """
        with self._lock.hold():
            results = _commit(writes, self._file.connection())
            self._file.check()
        return results

    def translate(self, error: Exception) -> LedgerError:
        """Return a new exception for an error of `run`."""
        found = ledger_error(self._file.path, error)
        return type(found)(found.reason, found.text)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._lock.remove_file()


def _commit(
    writes: Sequence[Callable[[sqlite3.Connection], Any]], connection: sqlite3.Connection
) -> list[Any]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        results = [write(connection) for write in writes]
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise
    return results
