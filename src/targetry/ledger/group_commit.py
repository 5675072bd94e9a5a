"""One thread that writes for all: whatever waits when it is free becomes one transaction.

While a commit waits for the disk, more work gathers, so the busier it is the larger the transactions, and the price of
a synced commit is shared. Nothing waits for others on purpose: alone, a write is committed at once.

The database belongs to the thread's frames and to nothing else: a forked child, which has no such thread, can neither
use nor close it, and SQLite allows neither.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from targetry._runtime.daemon_threads import start_daemon_thread
from targetry.ledger.errors import BUSY, CLOSED, FORKED, UNUSABLE, LedgerError, ledger_error
from targetry.ledger.write_lock import WriteLock

T = TypeVar("T")
Write = Callable[[sqlite3.Connection], T]

_MOST_WAITING: Final = 100_000  # events
_MOST_TOGETHER: Final = 5_000  # pieces of work in one transaction
_LONGEST_CLOSE_S: Final = 30.0


class Database(Protocol):
    """A file that is written to by one thread."""

    def connection(self) -> sqlite3.Connection:
        """Return the connection to write with. Raises `LedgerError`."""

    def check(self) -> None:
        """Raise `LedgerError` if what was just committed is not in the file any more."""

    def close(self) -> None: ...


class _Work(NamedTuple, Generic[T]):
    write: Write[T]
    size: int
    done: Future[T]


class _Inbox:
    """What waits to be written; `size` counts its events."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[_Work[Any]] = []
        self._size = 0
        self._closed = False

    def put(self, work: _Work[Any]) -> None:
        with self._changed:
            if self._closed:
                raise LedgerError(CLOSED, "the ledger is closed")
            if self._waiting and self._size + work.size > _MOST_WAITING:
                raise LedgerError(BUSY, f"the ledger cannot keep up: {self._size} events are waiting already")
            self._waiting.append(work)
            self._size += work.size
            self._changed.notify()

    def take(self) -> list[_Work[Any]]:
        """All that waits, up to a bound; nothing only when the inbox is closed and empty."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            taken, self._waiting = self._waiting[:_MOST_TOGETHER], self._waiting[_MOST_TOGETHER:]
            self._size -= sum(work.size for work in taken)
        return taken

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()


class GroupCommit:
    """Runs writes of any thread in the transactions of one. Takes the database over."""

    def __init__(self, database: Database, path: Path, lock: WriteLock) -> None:
        self._inbox = _Inbox()
        self._pid = os.getpid()
        thread = start_daemon_thread("targetry-ledger", _write_all, database, self._inbox, path, lock)
        if thread is None:
            raise LedgerError(
                UNUSABLE, "the ledger is not open: the system gives no thread to write in; try again"
            )
        self._thread = thread

    def submit(self, write: Write[T], size: int = 1) -> Future[T]:
        """Have `write` run. The future has its result once that is committed, or else the `LedgerError`.

        A future that is cancelled before its turn is not written. Raises `LedgerError` where there is no thread to
        do it, or too much is waiting.
        """
        if os.getpid() != self._pid:
            raise LedgerError(
                FORKED, "the ledger was opened before a fork: the new process must open its own"
            )
        done: Future[T] = Future()
        self._inbox.put(_Work(write, size, done))
        return done

    def close(self) -> None:
        """Write what waits, and let the file go. May be called twice, and does nothing in a forked child."""
        if os.getpid() != self._pid:
            return
        self._inbox.close()
        self._thread.join(_LONGEST_CLOSE_S)


def _write_all(database: Database, inbox: _Inbox, path: Path, lock: WriteLock) -> None:
    while batch := inbox.take():
        _write_together(
            [work for work in batch if work.done.set_running_or_notify_cancel()], database, path, lock
        )
    database.close()
    lock.remove_file()


def _write_together(batch: list[_Work[Any]], database: Database, path: Path, lock: WriteLock) -> None:
    try:
        with lock.hold():
            results = _committed(batch, database.connection())
            database.check()
    except Exception as error:  # whatever it is, those who wait must hear of it, and the thread must live
        for work in batch:
            work.done.set_exception(_error_for_one(path, error))
        return
    for work, result in zip(batch, results, strict=True):
        work.done.set_result(result)


def _committed(batch: list[_Work[Any]], connection: sqlite3.Connection) -> list[Any]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        results = [work.write(connection) for work in batch]
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise
    return results


def _error_for_one(path: Path, error: Exception) -> LedgerError:
    """An exception of its own for each who waits: a traceback grows where it is raised."""
    told = ledger_error(path, error)
    own = type(told)(told.reason, told.text)
    own.__cause__ = error
    return own
