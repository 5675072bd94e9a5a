"""Event store in SQLite: records impressions, notifications and orders, each once.

`record` returns when its events are on the disk (`synchronous=FULL`), so they survive `kill -9` and
a crash of the machine. Concurrent calls share the cost of the sync (`group_commit`). With
`sync="NORMAL"` events survive a crash of the process, not always one of the machine.

Ids of events are idempotency keys: an event that is recorded again changes nothing. After an error
no event of the call is recorded, so the call can be repeated unchanged.

Several processes can record in one folder. Readers see a snapshot and block no writer.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from targetry._runtime.logger import Log
from targetry.ledger.database import BUSY_S, LedgerFile, Progress, Sync, Warn, no_progress
from targetry.ledger.errors import LedgerError
from targetry.ledger.event import ActivityDescription, LedgerEvent, validate_events
from targetry.ledger.group_commit import GroupCommit
from targetry.ledger.reader import EXPERIENCES, Reader
from targetry.ledger.write_lock import WriteLock

DEFAULT_FOLDER: Final = Path(".targetry")

_FIELDS: Final = LedgerEvent.__struct_fields__
_COLUMNS: Final = ", ".join(_FIELDS)
# Rows of one statement. Each statement releases the interpreter's lock and waits to get it back.
_MAX_ROWS: Final = 64
_LATEST: Final = "SELECT id FROM event ORDER BY seq DESC LIMIT ?"
_DESCRIBE: Final = (
    "INSERT INTO activity (id, name, type, shares_since_ms) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE "
    "SET name = excluded.name, type = excluded.type, shares_since_ms = excluded.shares_since_ms"
)
_ADD_EXPERIENCE: Final = (
    "INSERT INTO experience (activity_id, position, id, name, share) VALUES (?, ?, ?, ?, ?)"
)


class Ledger:
    """Records events in a folder; created by `Ledger.open`. Thread-safe."""

    def __init__(self, folder: Path, file: LedgerFile, busy_timeout: float = BUSY_S) -> None:
        self.folder = folder
        self._described: Sequence[ActivityDescription] = ()
        file.on_reopen = self._describe_again
        self._writer = GroupCommit(file, file.path, WriteLock(folder, busy_timeout))

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
            file.close()
            raise

    def record(self, events: Sequence[LedgerEvent]) -> list[bool]:
        """Record events, all or none, and wait until they are on the disk.

        Returns:
            For each event whether it is new; False if one with its id was recorded before.

        Raises:
            OptionError: An event has a field of a wrong type or range.
            LedgerError: The events could not be recorded.
        """
        rows = _rows(events)
        return (
            self._writer.submit(lambda connection: _insert(connection, rows), len(rows)).result()
            if rows
            else []
        )

    async def arecord(self, events: Sequence[LedgerEvent]) -> list[bool]:
        """Record events as `record` does; a call canceled before its write starts records none."""
        import asyncio  # a quarter of the command's start-up time

        rows = _rows(events)
        if not rows:
            return []
        done = self._writer.submit(lambda connection: _insert(connection, rows), len(rows))
        return await asyncio.wrap_future(done)

    def describe(self, activities: Sequence[ActivityDescription], *, now_ms: int | None = None) -> None:
        """Store descriptions of activities for reports.

        An activity with a known id is replaced; other stored activities stay. Of several with one
        id the first counts. The ledger sets `shares_since_ms` itself, to `now_ms` if the shares
        differ from the stored ones.

        Args:
            activities: The descriptions.
            now_ms: The time in epoch milliseconds; by default the clock's.

        Raises:
            LedgerError: The descriptions could not be stored.
        """
        at = int(time.time() * 1000) if now_ms is None else now_ms
        self._described = tuple(activities)
        self._writer.submit(lambda connection: _describe(connection, activities, at)).result()

    def _describe_again(self, connection: sqlite3.Connection) -> None:
        """Store the descriptions in a file that replaces a removed one."""
        with connection:  # rolls back after an error
            connection.execute("BEGIN IMMEDIATE")
            _describe(connection, self._described, int(time.time() * 1000))

    def events(self) -> Iterator[LedgerEvent]:
        """Yield the events of a snapshot in the order of their recording. Raises `LedgerError`."""
        with self.reader() as reader:
            yield from reader.events()

    def activities(self) -> list[ActivityDescription]:
        """Return the latest description of each activity. Raises `LedgerError`."""
        with self.reader() as reader:
            return reader.activities()

    def reader(self) -> Reader:
        """Return a snapshot of the ledger. Raises `LedgerError`."""
        return Reader.open(self.folder)

    def close(self) -> None:
        """Commit the waiting writes and close the file. Idempotent."""
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_Row = tuple[object, ...]


def _rows(events: Sequence[LedgerEvent]) -> list[_Row]:
    return [msgspec.structs.astuple(event) for event in validate_events(events)]


def _insert(connection: sqlite3.Connection, rows: Sequence[_Row]) -> list[bool]:
    """Return for each row whether it is new."""
    starts = range(0, len(rows), _MAX_ROWS)
    return [new for at in starts for new in _insert_batch(connection, rows[at : at + _MAX_ROWS])]


def _insert_batch(connection: sqlite3.Connection, rows: Sequence[_Row]) -> list[bool]:
    now_ms = int(time.time() * 1000)
    values = [now_ms, *(value for row in rows for value in row)]
    inserted = connection.execute(_insert_statement(len(rows)), values).rowcount
    if inserted == len(rows):
        return [True] * inserted
    latest = {key for (key,) in connection.execute(_LATEST, (inserted,))} if inserted else set()
    return [_discard(latest, row[0]) for row in rows]


@lru_cache(maxsize=_MAX_ROWS)  # the connection caches its prepared statements by their text
def _insert_statement(count: int) -> str:
    """Return a statement with the time of recording and the events' fields as parameters."""
    numbers = itertools.count(2)
    values = ", ".join(f"({', '.join(f'?{next(numbers)}' for _ in _FIELDS)}, ?1)" for _ in range(count))
    return f"INSERT INTO event ({_COLUMNS}, recorded_ms) VALUES {values} ON CONFLICT (id) DO NOTHING"


def _discard(keys: set[object], key: object) -> bool:
    """Remove a key from a set; return whether the set held it."""
    if key not in keys:
        return False
    keys.remove(key)
    return True


def _describe(connection: sqlite3.Connection, activities: Sequence[ActivityDescription], now_ms: int) -> None:
    first: dict[str, ActivityDescription] = {}
    for activity in activities:
        first.setdefault(activity.id, activity)
    for activity in first.values():
        since = _shares_since(connection, activity, now_ms)
        connection.execute(_DESCRIBE, (activity.id, activity.name, activity.type, since))
        connection.execute("DELETE FROM experience WHERE activity_id = ?", (activity.id,))
        for position, one in enumerate(activity.experiences):
            connection.execute(_ADD_EXPERIENCE, (activity.id, position, one.id, one.name, one.share))


def _shares_since(connection: sqlite3.Connection, activity: ActivityDescription, now_ms: int) -> int:
    """Return the time of the shares; 0 for the first ones, which can be older than the ledger."""
    row = connection.execute("SELECT shares_since_ms FROM activity WHERE id = ?", (activity.id,)).fetchone()
    if row is None:
        return 0
    known = {key: share for key, _, share in connection.execute(EXPERIENCES, (activity.id,))}
    same = known == {one.id: one.share for one in activity.experiences}
    return int(row[0]) if same else now_ms
