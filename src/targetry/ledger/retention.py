"""Removal of a ledger's events: the oldest ones, by age or size of the file, and those of visitors.

The sums become those of the remaining events. For that, one transaction removes all old events of a
few visitors and counts their other events again. Of a visitor with thousands of events each
transaction removes some, and `counting` counts the others again in pieces, as it does with orders
that have the id of a removed one; a report counts what is left of it first, so its sums are always
those of its events. Transactions are short and take the write lock, so events can be recorded while
a ledger is pruned.

Removed rows can stay in free parts of the file until it is overwritten; `erase` rewrites the file.

The age of an event is that of its own time or of its recording, whichever is earlier: a time from
outside can lie in the future.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec

from targetry._runtime.file_lock import LOCK_IS_HELD, FileLock
from targetry._runtime.logger import Log
from targetry._runtime.periodic_task import PeriodicTask
from targetry.errors import OptionError, TargetError
from targetry.ledger.counting import (
    PIECE,
    START,
    Place,
    commit_chunk,
    recount_visitors,
    remove_piece,
    uncounted,
)
from targetry.ledger.database import BUSY_S, FILE_NAME, LedgerFile, Progress, Warn, no_progress
from targetry.ledger.errors import missing_ledger, translate_errors
from targetry.ledger.group_commit import WriteLock
from targetry.ledger.schema import DAY_MS

_T = TypeVar("_T")

MIN_BYTES: Final = 1_000_000
_MAX_DAYS: Final = 36_500
_CHUNK: Final = 500
"""Old events that one transaction selects; it also removes the visitors' other old events."""

_MOST_EVENTS: Final = 5_000  # of the visitors of one transaction, which are counted again
_EVENTS_OF_VISITOR: Final = "SELECT count(*) FROM (SELECT 1 FROM event WHERE visitor = ? LIMIT ?)"
_CHECK_S: Final = 60.0
_PAGES: Final = 500
"""Free pages that are returned to the file system after each transaction."""

_LOCK_NAME: Final = "ledger.pruning"
_IS_OLD: Final = "min(timestamp_ms, ifnull(recorded_ms, timestamp_ms)) < ?"
_IS_FIRST: Final = "seq < ?"
_IS_OF_VISITOR: Final = "visitor = ?"
_JOURNAL_NAME: Final = f"{FILE_NAME}-wal"
_IN_CHUNK: Final = "visitor IN (SELECT visitor FROM temp.pruned_visitor)"


class Retention(msgspec.Struct, frozen=True):
    """Limits of a ledger: the age of its events in days, the size of its file in bytes."""

    keep_days: float | None = None
    max_bytes: int | None = None

    def __bool__(self) -> bool:
        return self.keep_days is not None or self.max_bytes is not None

    def check(self) -> None:
        """Check the ranges. Raises `OptionError` with the name of the command's option."""
        if self.keep_days is not None and not 0 < self.keep_days <= _MAX_DAYS:
            raise OptionError(
                "keep_days", f"must be above 0 and at most {_MAX_DAYS:,} days, not {self.keep_days:g}"
            )
        if self.max_bytes is not None and self.max_bytes < MIN_BYTES:
            raise OptionError("max_size", f"must be at least 1 MB, not {self.max_bytes:,} bytes")


class PruneResult(msgspec.Struct, frozen=True):
    """Number of removed events, and the bytes in use before and after."""

    removed: int
    before_bytes: int
    after_bytes: int


def parse_size(text: str) -> int:
    """Return the bytes of a size like `500MB`, `2GB` or `64 MiB`. Raises `ValueError`."""
    number, unit = text.strip(), ""
    while number and not number[-1].isdigit():
        number, unit = number[:-1], number[-1] + unit
    factor = _UNITS.get(unit.strip().lower())
    if factor is None or not text.isascii() or not number.replace(".", "", 1).isdecimal() or len(number) > 18:
        raise ValueError(f"must be a size like 500MB or 2GB, not {text!r}")
    return int(float(number) * factor)


_UNITS: Final = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12} | {
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}


def estimate(folder: Path, retention: Retention, now_ms: int | None = None) -> PruneResult:
    """Return the expected result of `prune`: exact by age, approximate by size.

    Raises:
        LedgerError: The ledger cannot be opened.
    """
    with _opened(folder) as (connection, _):
        before = _used_bytes(connection)
        (events,) = connection.execute("SELECT count(*) FROM event").fetchone()
        removed = 0
        if retention.keep_days is not None:
            cutoff = cutoff_ms(retention.keep_days, now_ms)
            (removed,) = connection.execute(
                f"SELECT count(*) FROM event WHERE {_IS_OLD}", (cutoff,)
            ).fetchone()
        after = before * (events - removed) // max(1, events)
        if retention.max_bytes is not None and after > retention.max_bytes:
            removed += int((events - removed) * (1 - retention.max_bytes / after))
            after = retention.max_bytes
    return PruneResult(removed, before, after)


def prune(
    folder: Path,
    retention: Retention,
    *,
    now_ms: int | None = None,
    progress: Progress = no_progress,
    warn: Warn | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> PruneResult:
    """Remove the events beyond the limits.

    Args:
        folder: The folder of the ledger.
        retention: The limits.
        now_ms: The time in epoch milliseconds; by default the clock's.
        progress: Called with the number of events removed so far, and of those to remove.
        warn: Called if a damaged file is replaced; by default the message is logged.
        is_stopped: Called after each transaction; True ends the removal early.

    Raises:
        LedgerError: The ledger cannot be opened or written to. Completed transactions stand.
    """
    removed = 0
    with _opened(folder, progress, warn) as (connection, pruning):
        before = _used_bytes(connection)
        if retention.keep_days is not None:
            cutoff = cutoff_ms(retention.keep_days, now_ms)
            (total,) = connection.execute(f"SELECT count(*) FROM event WHERE {_IS_OLD}", (cutoff,)).fetchone()
            for count in pruning.remove(_IS_OLD, cutoff):
                removed += count
                progress(removed, total)
                if is_stopped():
                    break
        while retention.max_bytes is not None and not is_stopped():
            pruning.count(is_stopped)  # which removes purchases
            cutoff = _first_to_keep(connection, retention.max_bytes)
            if not cutoff:
                break
            (total,) = connection.execute("SELECT count(*) FROM event WHERE seq < ?", (cutoff,)).fetchone()
            done = 0
            for count in pruning.remove(_IS_FIRST, cutoff):
                done += count
                progress(removed + done, removed + total)
                if is_stopped():
                    break
            removed += done
            if not done:
                break
        pruning.count(is_stopped)
        if removed:
            pruning.remove_empty_segments()
        return PruneResult(removed, before, _used_bytes(connection))


class ErasureResult(NamedTuple):
    """Number of removed events, and the visitors without any.

    `files` are names of files in the folder that can still hold some: the journal, if another
    process has the ledger open, and damaged files that were replaced.
    """

    removed: int
    unknown: tuple[str, ...]
    files: tuple[str, ...] = ()


def erase(folder: Path, visitors: Sequence[str], *, progress: Progress = no_progress) -> ErasureResult:
    """Remove all events of visitors, and rewrite the file, so that nothing of them is left in it.

    Other processes cannot record while the file is rewritten, which takes some 10 s for a gigabyte.

    Args:
        folder: The folder of the ledger.
        visitors: The visitors, as in the events.
        progress: Called with the number of events removed so far, and of those to remove.

    Raises:
        LedgerError: The ledger cannot be opened or written to. Completed transactions stand.
    """
    removed = 0
    with _opened(folder) as (connection, pruning):
        events = {
            one: int(connection.execute("SELECT count(*) FROM event WHERE visitor = ?", (one,)).fetchone()[0])
            for one in visitors
        }
        for visitor in visitors:
            for count in pruning.remove(_IS_OF_VISITOR, visitor):
                removed += count
                progress(removed, sum(events.values()))
        pruning.count()
        pruning.remove_empty_segments()
        pruning.rewrite_file()
    names = sorted(one.name for one in folder.iterdir())
    return ErasureResult(
        removed,
        tuple(one for one, number in events.items() if not number),
        tuple(name for name in names if name == _JOURNAL_NAME or ".corrupt" in name),
    )


class RetentionTask:
    """Removes the oldest events of a ledger every minute while an edge runs.

    `remove` removes them, ends early if its argument returns True, and returns their number.
    """

    def __init__(self, remove: Callable[[Callable[[], bool]], int], log: logging.Logger) -> None:
        self._remove = remove
        self._log = log
        self._closed = False
        self._repeating = PeriodicTask("targetry-retention", self._step)

    def start(self) -> None:
        self._repeating.schedule(0)

    def close(self) -> None:
        """End after the current transaction."""
        self._closed = True
        self._repeating.close(BUSY_S)

    def _step(self) -> float:
        try:
            removed = self._remove(lambda: self._closed)
            if removed:
                self._log.info(
                    "%d events were removed from the ledger: beyond --keep-days or --max-size", removed
                )
        except TargetError as error:
            self._log.warning("the ledger could not be pruned: %s", error)
        except Exception:
            self._log.exception("the ledger could not be pruned")
        return _CHECK_S


def prune_shared(
    folder: str | os.PathLike[str], retention: Retention, warn: Warn, is_stopped: Callable[[], bool]
) -> int:
    """Remove the events beyond the limits, unless another process does; return their number.

    Raises:
        LedgerError: The ledger cannot be opened or written to.
    """
    path = Path(folder)
    with translate_errors(path / FILE_NAME):
        try:
            claim = FileLock(path / _LOCK_NAME)
        except LOCK_IS_HELD:  # or the folder was removed
            return 0
    try:
        return prune(path, retention, warn=warn, is_stopped=is_stopped).removed
    finally:
        claim.remove()


class _Pruning:
    """Transactions of one removal, each under the write lock."""

    def __init__(self, file: LedgerFile, lock: WriteLock) -> None:
        self._file = file
        self._lock = lock

    def remove(self, condition: str, limit: object) -> Iterator[int]:
        """Remove the events that meet a condition; yield their number after each transaction."""
        start = 0
        while found := self._find(condition, limit, start):
            visitors, start = found
            group: list[object] = []
            of_group = 0
            for visitor, events in visitors:
                if events > PIECE:
                    yield from self._remove_in_pieces(visitor, condition, limit)
                    continue
                if of_group + events > _MOST_EVENTS:
                    yield self._write(partial(_remove, visitors=group, condition=condition, limit=limit))
                    group, of_group = [], 0
                group.append(visitor)
                of_group += events
            if group:
                yield self._write(partial(_remove, visitors=group, condition=condition, limit=limit))

    def count(self, is_stopped: Callable[[], bool] = lambda: False) -> None:
        """Count the events that wait for it: new ones, and those of a removal."""
        with translate_errors(self._file.path):
            while not is_stopped() and uncounted(self._connection()):
                with self._lock.hold_in_background():
                    commit_chunk(self._file.connection())

    def remove_empty_segments(self) -> None:
        """Remove the sums of segments without visitors, which can be of a visitor's own value."""
        self._write(lambda connection: connection.execute("DELETE FROM segment_sum WHERE visitors = 0"))

    def rewrite_file(self) -> None:
        """Write all pages of the file again, without those that are free."""
        with self._lock.hold(), translate_errors(self._file.path):
            connection = self._file.connection()
            connection.execute("PRAGMA temp_store = FILE")  # for a copy of all events
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint").fetchone()
            self._file.check()

    def _remove_in_pieces(self, visitor: object, condition: str, limit: object) -> Iterator[int]:
        place: Place | None = START
        while place is not None:
            removed, place = self._write(
                partial(_remove_piece, visitor=visitor, place=place, condition=condition, limit=limit)
            )
            yield removed

    def _find(self, condition: str, limit: object, start: int) -> tuple[list[tuple[object, int]], int] | None:
        """Return visitors with events to remove, with about the number of all their events."""
        query = f"SELECT seq, visitor FROM event WHERE seq >= ? AND {condition} ORDER BY seq LIMIT {_CHUNK}"
        with translate_errors(self._file.path):
            connection = self._connection()
            rows = connection.execute(query, (start, limit)).fetchall()
            visitors = [
                (visitor, int(connection.execute(_EVENTS_OF_VISITOR, (visitor, PIECE + 1)).fetchone()[0]))
                for visitor in dict.fromkeys(visitor for _, visitor in rows)
            ]
        return (visitors, rows[-1][0] + 1) if rows else None

    def _connection(self) -> sqlite3.Connection:
        """Return the connection for reading, which needs the write lock after a fault only."""
        connection = self._file.intact_connection()
        if connection is None:
            with self._lock.hold():
                connection = self._file.connection()
        return connection

    def _write(self, write: Callable[[sqlite3.Connection], _T]) -> _T:
        with self._lock.hold_in_background(), translate_errors(self._file.path):
            connection = self._file.connection()
            with connection:  # rolls back after an error
                connection.execute("BEGIN IMMEDIATE")
                result = write(connection)
            # `execute` would stop after one page.
            connection.executescript(f"PRAGMA incremental_vacuum({_PAGES})")
            self._file.check()
        return result


def _remove(connection: sqlite3.Connection, visitors: list[object], condition: str, limit: object) -> int:
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS pruned_visitor (visitor PRIMARY KEY)")
    connection.execute("DELETE FROM temp.pruned_visitor")
    connection.executemany("INSERT INTO temp.pruned_visitor VALUES (?)", [(one,) for one in visitors])
    among = f"{_IN_CHUNK} AND {condition}"
    connection.execute(
        "INSERT OR REPLACE INTO recount SELECT DISTINCT one.order_id, 0 FROM event AS one "
        f"WHERE one.{_IN_CHUNK} AND one.kind = 'order' AND EXISTS (SELECT 1 FROM event AS other "
        f"WHERE other.order_id = one.order_id AND NOT other.{_IN_CHUNK}) AND one.order_id != ''"
    )
    removed = recount_visitors(
        connection,
        visitors,
        lambda: connection.execute(f"DELETE FROM event WHERE {among}", (limit,)).rowcount,
    )
    _add_removed(connection, removed)
    return removed


def _remove_piece(
    connection: sqlite3.Connection, visitor: object, place: Place, condition: str, limit: object
) -> tuple[int, Place | None]:
    removed, after = remove_piece(connection, visitor, place, condition, limit)
    _add_removed(connection, removed)
    return removed, after


def _add_removed(connection: sqlite3.Connection, removed: int) -> None:
    connection.execute("UPDATE retention SET removed = removed + ?", (removed,))


@contextlib.contextmanager
def _opened(
    folder: Path, progress: Progress = no_progress, warn: Warn | None = None
) -> Iterator[tuple[sqlite3.Connection, _Pruning]]:
    if not (folder / FILE_NAME).is_file():
        raise missing_ledger(folder)
    file = LedgerFile(folder, "FULL", BUSY_S, warn or Log().warning, progress)
    lock = WriteLock(folder, BUSY_S)
    try:
        with translate_errors(file.path):
            connection = file.connection()
            pruning = _Pruning(file, lock)
            pruning.count()  # only counted events are removed
            yield connection, pruning
    finally:
        file.close(lock.hold())
        lock.remove_file()


def cutoff_ms(keep_days: float, now_ms: int | None) -> int:
    """Return the epoch milliseconds before which events are too old."""
    return (int(time.time() * 1000) if now_ms is None else now_ms) - int(keep_days * DAY_MS)


def _used_bytes(connection: sqlite3.Connection) -> int:
    """Return the size of the file without its free pages, which new events use."""
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _first_to_keep(connection: sqlite3.Connection, max_bytes: int) -> int:
    """Return the `seq` from which on events fill about `max_bytes`; 0 if all events can stay."""
    used = _used_bytes(connection)
    if used <= max_bytes:
        return 0
    (events,) = connection.execute("SELECT count(*) FROM event").fetchone()
    excess = max(1, int(events * (1 - max_bytes / used) * 1.02))
    row = connection.execute("SELECT seq FROM event ORDER BY seq LIMIT 1 OFFSET ?", (excess,)).fetchone()
    if row is None:
        row = connection.execute("SELECT max(seq) + 1 FROM event").fetchone()
    return int(row[0] or 0)
