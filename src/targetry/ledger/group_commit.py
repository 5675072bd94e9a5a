"""Group commit of the threads of a process, and the write lock of the processes of a folder.

One thread writes for all threads, all waiting writes in one transaction.

More writes arrive while a commit waits for the disk, so transactions grow with the load, and the
writes share the cost of a synced commit. After a commit, whose callers often write again, the next
one waits for as many events as were committed or already waiting, but only for some milliseconds.
So the writes of 32 callers are one transaction; otherwise the faster the disk, the smaller the
transactions. A caller that records alone waits only if it records fewer events than before. The
thread also counts events into the sums: some when enough were written, the rest when no write is
waiting.

Only the thread's frames refer to the database. A forked child has no such thread, so it can neither
use nor close the database, which SQLite forbids.

SQLite admits one writer at a time, and lets others retry after pauses of up to 0.1 s, so a busy
process starves the others. Measured with four processes that record all the time on two processor
cores: the slowest of some 2,000 commits took 1.04 s with SQLite's lock only, 0.1 s with the write
lock.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar

from targetry._runtime.daemon_threads import start_daemon_thread
from targetry._runtime.file_lock import FileLock
from targetry.ledger.errors import BUSY, CLOSED, FORKED, LOCKED, UNUSABLE, LedgerError

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")
Write = Callable[[Any], T]
"""Function of a database's connection, which writes and returns a result."""

_MAX_WAITING: Final = 100_000  # events
_MAX_BATCH: Final = 5_000  # writes in one transaction
_CLOSE_TIMEOUT_S: Final = 30.0
_LOCK_NAME: Final = "ledger.lock"
_PAUSE_S: Final = 0.0003  # a commit takes a millisecond or two
_LEAST_PAUSE_S: Final = 2 * _PAUSE_S
_LONGEST_WAIT_S: Final = 0.004  # after a commit, for as many events
_ENOUGH: Final = 200  # events, for which a commit costs little
_IDLE_S: Final = 0.5  # after the last write, until the rest of the events is counted
_COUNT_AT: Final = 1_000  # events
_COUNT_AT_CLOSE: Final = 10_000  # events, which takes some 0.1 s


class Database(Protocol):
    """A database that one thread writes to."""

    def run(self, writes: Sequence[Write[Any]]) -> list[Any]:
        """Run writes in one transaction, and return their results once they are durable."""

    def translate(self, error: Exception) -> LedgerError:
        """Return a new exception for an error of `run`."""

    def count(self, most: int) -> bool:
        """Count up to `most` events into the sums; return whether there are more. Never raises."""

    def close(self) -> None: ...


class WriteOutcome(Protocol):
    """Receives the outcome of a write, from the thread that writes; a `Future` is one."""

    def set_running_or_notify_cancel(self) -> bool:
        """Return whether the write has to be executed."""

    def set_result(self, result: Any, /) -> None: ...

    def set_exception(self, error: BaseException | None, /) -> None: ...


class LoopOutcome:
    """Outcome of a write for a coroutine, which awaits `future`.

    It costs half of a `Future` of `concurrent.futures` and its wrapper in the event loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.future: asyncio.Future[Any] = loop.create_future()
        self._loop = loop

    def set_running_or_notify_cancel(self) -> bool:
        return not self.future.cancelled()

    def set_result(self, result: Any, /) -> None:
        self._call(self.future.set_result, result)

    def set_exception(self, error: BaseException | None, /) -> None:
        assert error is not None
        self._call(self.future.set_exception, error)

    def _call(self, finish: Callable[[Any], None], outcome: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and nothing awaits the future
            self._loop.call_soon_threadsafe(self._finish, finish, outcome)

    def _finish(self, finish: Callable[[Any], None], outcome: Any) -> None:
        if not self.future.done():  # it is done if its coroutine was canceled
            finish(outcome)


class _PendingWrite(NamedTuple):
    write: Write[Any]
    size: int
    done: WriteOutcome


class _WriteQueue:
    """Queue of writes; `size` of a write counts its events."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[_PendingWrite] = []
        self._size = 0
        self._wanted = 1
        self._closed = False

    @property
    def size(self) -> int:
        """Number of waiting events."""
        return self._size

    def put(self, work: _PendingWrite) -> None:
        with self._changed:
            if self._closed:
                raise LedgerError(CLOSED, "the ledger is closed: open it again to record")
            if self._waiting and self._size + work.size > _MAX_WAITING:
                raise LedgerError(
                    BUSY, f"the ledger is overloaded: {self._size} events are waiting; try again later"
                )
            self._waiting.append(work)
            self._size += work.size
            if self._size >= self._wanted:
                self._changed.notify()

    def get_all(
        self, timeout_s: float | None, expected: int = 1, until_s: float = 0.0
    ) -> list[_PendingWrite] | None:
        """Wait for writes and return them, up to a bound; None if the queue is closed and empty.

        Args:
            timeout_s: The list is empty after this time without a write; None waits without an end.
            expected: Events to wait for after the first write.
            until_s: Time of the monotonic clock at which that wait ends.
        """
        with self._changed:
            if not self._waiting and not self._closed:
                self._changed.wait_for(lambda: self._waiting or self._closed, timeout_s)
            if 0 < self._size < expected and (rest_s := until_s - time.monotonic()) > 0:
                self._wanted = expected
                self._changed.wait_for(lambda: self._size >= expected or self._closed, rest_s)
                self._wanted = 1
            if not self._waiting and self._closed:
                return None
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
        done: Future[T] = Future()
        self.submit_for(done, write, size)
        return done

    def submit_for(self, done: WriteOutcome, write: Write[Any], size: int = 1) -> None:
        """Schedule a write as `submit` does, and set its outcome. Raises `LedgerError`."""
        if os.getpid() != self._pid:
            raise LedgerError(FORKED, "the ledger was opened before a fork: open it again in the new process")
        self._queue.put(_PendingWrite(write, size, done))

    def close(self) -> None:
        """Commit waiting writes and close the database. Idempotent; no effect in a forked child."""
        if os.getpid() != self._pid:
            return
        self._queue.close()
        self._thread.join(_CLOSE_TIMEOUT_S)


def _write_all(database: Database, queue: _WriteQueue) -> None:
    wait_s: float | None = _IDLE_S  # a process that was killed may have left uncounted events
    uncounted, expected, until_s = 0, 1, 0.0
    while (batch := queue.get_all(wait_s, expected, until_s)) is not None:
        if batch:
            to_write = [work for work in batch if work.done.set_running_or_notify_cancel()]
            found = _run(to_write, database)
            written = sum(work.size for work in batch)
            expected, until_s = min(_ENOUGH, written + queue.size), time.monotonic() + _LONGEST_WAIT_S
            _set_outcomes(to_write, found, database)
            uncounted, wait_s = uncounted + written, _IDLE_S
            if uncounted < _COUNT_AT:
                continue
        # All that were written, so that the sums keep up, and SQLite removes them from the table of
        # new events at once.
        has_more = database.count(max(_COUNT_AT, uncounted))
        uncounted, wait_s = 0, 0.0 if has_more else None
    database.count(_COUNT_AT_CLOSE)
    database.close()


def _run(batch: list[_PendingWrite], database: Database) -> list[Any] | Exception:
    try:
        return database.run([work.write for work in batch])
    except Exception as error:  # every waiting caller needs an outcome, and the thread has to go on
        return error


def _set_outcomes(batch: list[_PendingWrite], found: list[Any] | Exception, database: Database) -> None:
    if isinstance(found, Exception):
        for work in batch:
            # A new exception for each caller, since each raise extends the traceback.
            own = database.translate(found)
            own.__cause__ = found
            work.done.set_exception(own)
        return
    for work, result in zip(batch, found, strict=True):
        work.done.set_result(result)


class WriteLock:
    """Lock of one ledger's folder, for one thread at a time.

    Args:
        folder: The ledger's folder.
        timeout_s: The longest wait for other holders.
        keeps_open: Whether the lock file stays open until an error or `remove_file`, which saves
            half of the system calls of each use.
    """

    def __init__(self, folder: Path, timeout_s: float, *, keeps_open: bool = False) -> None:
        self._path = folder / _LOCK_NAME
        self._timeout_s = timeout_s
        self._keeps_open = keeps_open
        self._unlocked: FileLock | None = None

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the lock in a `with` block. Raises `LedgerError` (`locked`)."""
        lock = self._acquire()
        has_failed = True
        try:
            yield
            has_failed = False
        finally:
            if lock is not None:
                if self._keeps_open and not has_failed:
                    lock.unlock()
                    self._unlocked = lock
                else:  # after an error the path can lead to another folder
                    lock.release()

    @contextlib.contextmanager
    def hold_in_background(self) -> Iterator[None]:
        """Hold the lock as `hold` does, then pause a tenth as long, so that others get the lock.

        A process that acquires the lock again at once would starve those that poll for it.
        """
        with self.hold():
            start = time.monotonic()
            yield
            held_s = time.monotonic() - start
        _pause(max(_LEAST_PAUSE_S, held_s / 10))

    def remove_file(self) -> None:
        """Remove the lock file, unless it is held."""
        if self._unlocked is not None:
            self._unlocked.release()
            self._unlocked = None
        with contextlib.suppress(OSError):
            FileLock(self._path).remove()

    def _acquire(self) -> FileLock | None:
        """Return the lock; None if no file can be created, so that SQLite reports the reason."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                return self._lock()
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise LedgerError(
                        LOCKED,
                        f"the ledger in {self._path.parent}: another process holds {_LOCK_NAME}; try again",
                    ) from None
                time.sleep(_PAUSE_S)
            except FileNotFoundError:
                if not self._path.parent.is_dir():
                    return None
            except OSError:
                return None

    def _lock(self) -> FileLock:
        if self._unlocked is None:
            return FileLock(self._path)
        try:
            self._unlocked.lock()
        except FileNotFoundError:
            self._unlocked.release()
            self._unlocked = None
            raise
        lock, self._unlocked = self._unlocked, None
        return lock


def _pause(seconds: float) -> None:
    time.sleep(seconds)
