"""Event store in SQLite: records impressions, notifications and orders, each once.

`record` returns when its events are on the disk (`synchronous=FULL`), so they survive `kill -9` and
a crash of the machine. Concurrent calls share the cost of the sync (`group_commit`). With
`sync="NORMAL"` events survive a crash of the process, not always one of the machine. Sums count the
events later (`counting`): about a thousand at a time, when nothing was recorded for half a second,
and when a ledger is closed, pruned or opened for reading.

Ids of events are idempotency keys: an event that is recorded again changes nothing. After an error
no event of the call is recorded, so the call can be repeated unchanged.

Several processes can record in one folder. Readers see a snapshot and block no writer.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from targetry._runtime.logger import Log
from targetry.ledger.counting import commit_chunk, uncounted
from targetry.ledger.database import BUSY_S, LedgerFile, Progress, Sync, Warn, no_progress
from targetry.ledger.errors import LOCKED, LedgerError, ledger_error, translate_errors
from targetry.ledger.event import ActivityDescription, LedgerEvent, Row
from targetry.ledger.group_commit import GroupCommit, Write, WriteLock
from targetry.ledger.reader import EXPERIENCES, Reader
from targetry.ledger.store import EventStore, discard_key, shares_differ

DEFAULT_FOLDER: Final = Path(".targetry")

_FIELDS: Final = LedgerEvent.__struct_fields__
_COLUMNS: Final = ", ".join(_FIELDS)
_POSITIONS: Final = range(len(_FIELDS))
_OPTIONAL: Final = frozenset(
    at for at, field in enumerate(msgspec.structs.fields(LedgerEvent)) if not field.required
)
# Rows of one statement. Each statement releases the interpreter's lock and waits to get it back.
_MAX_ROWS: Final = 64
_LATEST: Final = "SELECT id FROM new_event ORDER BY seq DESC LIMIT ?"
_DESCRIBE: Final = (
    "INSERT INTO activity (id, name, type, shares_since_ms) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE "
    "SET name = excluded.name, type = excluded.type, shares_since_ms = excluded.shares_since_ms"
)
_ADD_EXPERIENCE: Final = (
    "INSERT INTO experience (activity_id, position, id, name, share) VALUES (?, ?, ?, ?, ?)"
)


class Ledger(EventStore):
    """Records events in a folder; created by `Ledger.open`. Thread-safe."""

    def __init__(self, folder: Path, file: LedgerFile, busy_timeout: float = BUSY_S) -> None:
        self.folder = folder
        self._described: Sequence[ActivityDescription] = ()
        file.on_reopen = self._describe_again
        self._writer = GroupCommit(_Database(file, WriteLock(folder, busy_timeout, keeps_open=True)))

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        sync: Sync = "FULL",
        busy_timeout: float = BUSY_S,
        warn: Warn | None = None,
        progress: Progress = no_progress,
    ) -> Self:
        """Open the ledger of a folder; create both if they are missing.

        A damaged file is renamed and a new one started. A file of an earlier version is upgraded.

        Args:
            folder: The ledger's folder.
            sync: SQLite's `synchronous` setting.
            busy_timeout: Longest time in seconds to wait for a lock of another process.
            warn: Called if a damaged file is replaced; by default the message is logged.
            progress: Called during an upgrade with the number of processed events and of all.

        Raises:
            LedgerVersionError: The file is of a later version.
            LedgerError: The ledger cannot be opened.
        """
        path = Path(folder)
        file = LedgerFile(path, sync, busy_timeout, warn or Log().warning, progress)
        try:
            return cls(path, file, busy_timeout)
        except LedgerError:  # no thread could be started
            file.close(WriteLock(path, busy_timeout).hold())
            raise

    def reader(self) -> Reader:
        """Return a snapshot of the ledger. Raises `LedgerError`."""
        return Reader.open(self.folder)

    def _insertion(self, rows: Sequence[Row]) -> Write[list[bool]]:
        return _Insertion(rows)

    def _description(self, activities: Sequence[ActivityDescription], now_ms: int) -> Write[None]:
        self._described = activities
        return partial(_describe, activities, now_ms)

    def _describe_again(self, connection: sqlite3.Connection) -> None:
        """Store the descriptions in a file that replaces a removed one."""
        with connection:  # rolls back after an error
            connection.execute("BEGIN IMMEDIATE")
            _describe(self._described, int(time.time() * 1000), connection)


class _Insertion:
    """Write of events, which the database joins with others."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows

    def __call__(self, connection: sqlite3.Connection) -> list[bool]:
        """Return for each row whether it is new."""
        starts = range(0, len(self.rows), _MAX_ROWS)
        return [new for at in starts for new in _insert_batch(connection, self.rows[at : at + _MAX_ROWS])]


class _Database:
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

    def count(self, most: int) -> bool:
        """Count up to `most` events into the sums; return whether there are more. Never raises."""
        connection = self._file.intact_connection()
        if connection is None:
            return False
        try:
            with self._lock.hold_in_background(), translate_errors(self._file.path):
                commit_chunk(connection, most)
                return uncounted(connection) > 0
        except LedgerError as error:
            if error.reason != LOCKED:  # otherwise another process writes, and counts
                Log().warning(
                    "the sums of the ledger are not up to date: %s; the next write repeats it", error
                )
            return False

    def close(self) -> None:
        """Close the file."""
        self._file.close(self._lock.hold())
        self._lock.remove_file()


def _commit(
    writes: Sequence[Callable[[sqlite3.Connection], Any]], connection: sqlite3.Connection
) -> list[Any]:
    insertions = [write for write in writes if isinstance(write, _Insertion)]
    if len(insertions) < len(writes):
        return _commit_each(writes, connection)
    insert = _Insertion([row for write in insertions for row in write.rows])
    # One statement is a transaction of its own.
    is_one = len(insert.rows) <= _MAX_ROWS
    are_new = iter(insert(connection) if is_one else _commit_each([insert], connection)[0])
    return [[next(are_new) for _ in write.rows] for write in insertions]


def _commit_each(
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


def _insert_batch(connection: sqlite3.Connection, rows: Sequence[Row]) -> list[bool]:
    given = tuple(at for at in _POSITIONS if at not in _OPTIONAL or any(row[at] is not None for row in rows))
    values = list(chain.from_iterable(map(itemgetter(*given), rows)))
    values.append(int(time.time() * 1000))
    inserted = connection.execute(_insert_statement(len(rows), given), values).rowcount
    if inserted == len(rows):
        return [True] * inserted
    latest = {key for (key,) in connection.execute(_LATEST, (inserted,))} if inserted else set()
    return [discard_key(latest, row[0]) for row in rows]


@lru_cache(maxsize=4 * _MAX_ROWS)  # the connection caches its prepared statements by their text
def _insert_statement(count: int, given: tuple[int, ...]) -> str:
    """Return a statement whose parameters are fields of each event, and the time of recording.

    The fields at other positions than those `given` are NULL: as a parameter, None takes `sqlite3`
    more time than a text.
    """
    row = f"({', '.join('?' if at in given else 'NULL' for at in _POSITIONS)})"
    return (
        f"INSERT INTO new_event ({_COLUMNS}, recorded_ms) "
        f"WITH given ({_COLUMNS}) AS (VALUES {', '.join([row] * count)}) SELECT *, ? FROM given "
        "WHERE NOT EXISTS (SELECT 1 FROM event WHERE event.id = given.id) ON CONFLICT (id) DO NOTHING"
    )


def _describe(activities: Sequence[ActivityDescription], now_ms: int, connection: sqlite3.Connection) -> None:
    for activity in activities:
        since = _shares_since(connection, activity, now_ms)
        connection.execute(_DESCRIBE, (activity.id, activity.name, activity.type, since))
        connection.execute("DELETE FROM experience WHERE activity_id = ?", (activity.id,))
        for position, one in enumerate(activity.experiences):
            connection.execute(_ADD_EXPERIENCE, (activity.id, position, one.id, one.name, one.share))


def _shares_since(connection: sqlite3.Connection, activity: ActivityDescription, now_ms: int) -> int:
    """Return the time of the shares; that of the description for the first ones."""
    row = connection.execute("SELECT shares_since_ms FROM activity WHERE id = ?", (activity.id,)).fetchone()
    if row is None:
        return activity.shares_since_ms
    known = {key: share for key, _, share in connection.execute(EXPERIENCES, (activity.id,))}
    return now_ms if shares_differ(known, activity) else int(row[0])
