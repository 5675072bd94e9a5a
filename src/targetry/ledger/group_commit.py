"""Group commit: one thread writes for all threads, all waiting writes in one transaction.

More writes arrive while a commit waits for the disk, so transactions grow with the load, and the
writes share the cost of a synced commit. No write is delayed on purpose: a single one is committed
at once.

Only the thread's frames refer to the database. A forked child has no such thread, so it can neither
use nor close the database, which SQLite forbids.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from targetry._runtime.daemon_threads import start_daemon_thread
from targetry.ledger.errors import BUSY, CLOSED, FORKED, UNUSABLE, LedgerError

T = TypeVar("T")
Write = Callable[[Any], T]
"""Function of a database's connection, which writes and returns a result."""

_MAX_WAITING: Final = 100_000  # events
_MAX_BATCH: Final = 5_000  # writes in one transaction
_CLOSE_TIMEOUT_S: Final = 30.0


class Database(Protocol):
    """A database that one thread writes to."""

    def run(self, writes: Sequence[Write[Any]]) -> list[Any]:
        """Run writes in one transaction, and return their results once they are durable."""

    def translate(self, error: Exception) -> LedgerError:
        """Return a new exception for an error of `run`."""

    def close(self) -> None: ...


class _PendingWrite(NamedTuple, Generic[T]):
    write: Write[T]
    size: int
    done: Future[T]


class _WriteQueue:
    """Queue of writes; `size` of a write counts its events."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[_PendingWrite[Any]] = []
        self._size = 0
        self._closed = False

    def put(self, work: _PendingWrite[Any]) -> None:
        with self._changed:
            if self._closed:
                raise LedgerError(CLOSED, "the ledger is closed: open it again to record")
            if self._waiting and self._size + work.size > _MAX_WAITING:
                raise LedgerError(
                    BUSY, f"the ledger is overloaded: {self._size} events are waiting; try again later"
                )
            self._waiting.append(work)
            self._size += work.size
            self._changed.notify()

    def get_all(self) -> list[_PendingWrite[Any]]:
        """Wait for writes and return them, up to a bound; an empty list if the queue is closed."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            taken, self._waiting = self._waiting[:_MAX_BATCH], self._waiting[_MAX_BATCH:]
            self._size -= sum(work.size for work in taken)
        return taken

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()


class GroupCommit:
    """Runs writes of any thread in the transactions of one thread, which owns the database."""

    def __init__(self, database: Database) -> None:
        self._queue = _WriteQueue()
        self._pid = os.getpid()
        thread = start_daemon_thread("targetry-ledger", _write_all, database, self._queue)
        if thread is None:
            raise LedgerError(
                UNUSABLE, "the ledger cannot be opened: the system cannot start a thread; try again"
            )
        self._thread = thread

    def submit(self, write: Write[T], size: int = 1) -> Future[T]:
        """Schedule a write.

        Args:
            write: Function of the connection.
            size: Number of events that it writes.

        Returns:
            A future of the function's result, which is set once it is committed, or of the
            `LedgerError`. A write that is cancelled before it starts is not executed.

        Raises:
            LedgerError: The queue is closed or full, or this process is a forked child.
        """
        if os.getpid() != self._pid:
            raise LedgerError(FORKED, "the ledger was opened before a fork: open it again in the new process")
        done: Future[T] = Future()
        self._queue.put(_PendingWrite(write, size, done))
        return done

    def close(self) -> None:
        """Commit waiting writes and close the database. Idempotent; no effect in a forked child."""
        if os.getpid() != self._pid:
            return
        self._queue.close()
        self._thread.join(_CLOSE_TIMEOUT_S)


def _write_all(database: Database, queue: _WriteQueue) -> None:
    while batch := queue.get_all():
        _write_batch([work for work in batch if work.done.set_running_or_notify_cancel()], database)
    database.close()


def _write_batch(batch: list[_PendingWrite[Any]], database: Database) -> None:
    try:
        results = database.run([work.write for work in batch])
    except Exception as error:  # every waiting caller needs an outcome, and the thread has to go on
        for work in batch:
            # A new exception for each caller, since each raise extends the traceback.
            own = database.translate(error)
            own.__cause__ = error
            work.done.set_exception(own)
        return
    for work, result in zip(batch, results, strict=True):
        work.done.set_result(result)
