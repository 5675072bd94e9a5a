"""The ledger of what happened: every impression, notification and order, each once.

`record` returns when its events are on the disk: transactions are synced (`synchronous=FULL`). For `kill -9` less would
do, since what SQLite has written survives the process in any case. Synced, it survives the machine too, and "recorded"
means one thing. What that costs is shared by all who record at the same time (`group_commit`). Who prefers
the cheaper promise opens the ledger with `sync="NORMAL"`.

Ids are idempotency keys: an event that is sent again, because its answer was lost, changes nothing. An error means that
nothing of the call was recorded, so it may be repeated as it is.

Several processes may record in one folder, and be read meanwhile: readers see the ledger of one moment, and hold nobody up.
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
from targetry.ledger.event import Activity, Event, checked
from targetry.ledger.group_commit import GroupCommit
from targetry.ledger.reader import EXPERIENCES, Reader
from targetry.ledger.write_lock import WriteLock

DEFAULT_FOLDER: Final = Path(".targetry")

_FIELDS: Final = Event.__struct_fields__
_COLUMNS: Final = ", ".join(_FIELDS)
_MOST_TOGETHER: Final = (
    64  # rows of one statement: each lets go of the interpreter, and has to wait for it afterwards
)
_LATEST: Final = "SELECT id FROM event ORDER BY seq DESC LIMIT ?"
_DESCRIBE: Final = (
    "INSERT INTO activity (id, name, type, shares_since_ms) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE "
    "SET name = excluded.name, type = excluded.type, shares_since_ms = excluded.shares_since_ms"
)
_ADD_EXPERIENCE: Final = (
    "INSERT INTO experience (activity_id, position, id, name, share) VALUES (?, ?, ?, ?, ?)"
)


class Ledger:
    """Records events in a folder; made by `Ledger.open`. Its methods may be called from any thread."""

    def __init__(self, folder: Path, file: LedgerFile, busy_timeout: float = BUSY_S) -> None:
        self.folder = folder
        self._described: Sequence[Activity] = ()
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
        """Open the ledger of a folder; both are made if need be.

        `busy_timeout`: seconds that another process may keep the file locked before that is an error. A damaged file
        is set aside, told to `warn` (by default the log), and a new one is begun. Raises `LedgerError`;
        `LedgerVersionError` for a file of a later version. One of an earlier version is brought up to date; `progress` is
        called meanwhile, with the events that are done and all.
        """
        path = Path(folder)
        file = LedgerFile(path, sync, busy_timeout, warn or Log().warning, progress)
        try:
            return cls(path, file, busy_timeout)
        except LedgerError:  # there is no thread to write in
            file.close()
            raise

    def record(self, events: Sequence[Event]) -> list[bool]:
        """Record events, all or none, and wait until they are on the disk. False: that one was there before.

        Raises `OptionError` for an event that cannot be one, `LedgerError` when it could not be done.
        """
        rows = _rows(events)
        return (
            self._writer.submit(lambda connection: _insert(connection, rows), len(rows)).result()
            if rows
            else []
        )

    async def arecord(self, events: Sequence[Event]) -> list[bool]:
        """As `record`; the event loop is free meanwhile. What is cancelled before its turn is not recorded."""
        import asyncio  # costs those who do not await a quarter of the command's start

        rows = _rows(events)
        if not rows:
            return []
        done = self._writer.submit(lambda connection: _insert(connection, rows), len(rows))
        return await asyncio.wrap_future(done)

    def describe(self, activities: Sequence[Activity], *, now_ms: int | None = None) -> None:
        """Keep what the report calls them. Activities that are known already are replaced, others stay; of several with
        one id the first counts.

        `shares_since_ms` is what the ledger knows, not the caller: the time (by default the clock's) when the shares were
        found changed. Raises `LedgerError`.
        """
        at = int(time.time() * 1000) if now_ms is None else now_ms
        self._described = tuple(activities)
        self._writer.submit(lambda connection: _describe(connection, activities, at)).result()

    def _describe_again(self, connection: sqlite3.Connection) -> None:
        """Give a file that takes the place of a removed one the names that reports show."""
        with connection:  # rolls back after an error
            connection.execute("BEGIN IMMEDIATE")
            _describe(connection, self._described, int(time.time() * 1000))

    def events(self) -> Iterator[Event]:
        """All events of this moment, in the order in which they were recorded. Raises `LedgerError`."""
        with self.reader() as reader:
            yield from reader.events()

    def activities(self) -> list[Activity]:
        """What was described, the latest of each. Raises `LedgerError`."""
        with self.reader() as reader:
            return reader.activities()

    def reader(self) -> Reader:
        """The ledger of this moment. Raises `LedgerError`."""
        return Reader.open(self.folder)

    def close(self) -> None:
        """Write what waits, and let the file go. May be called twice."""
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_Row = tuple[object, ...]


def _rows(events: Sequence[Event]) -> list[_Row]:
    return [msgspec.structs.astuple(event) for event in checked(events)]


def _insert(connection: sqlite3.Connection, rows: Sequence[_Row]) -> list[bool]:
    """Whether each was new."""
    starts = range(0, len(rows), _MOST_TOGETHER)
    return [new for at in starts for new in _insert_together(connection, rows[at : at + _MOST_TOGETHER])]


def _insert_together(connection: sqlite3.Connection, rows: Sequence[_Row]) -> list[bool]:
    now_ms = int(time.time() * 1000)
    values = [now_ms, *(value for row in rows for value in row)]
    inserted = connection.execute(_insertion(len(rows)), values).rowcount
    if inserted == len(rows):
        return [True] * inserted
    latest = {key for (key,) in connection.execute(_LATEST, (inserted,))} if inserted else set()
    return [_is_taken(latest, row[0]) for row in rows]


@lru_cache(maxsize=_MOST_TOGETHER)  # as the connection keeps what it prepared
def _insertion(count: int) -> str:
    """Return a statement whose first parameter is the time of recording, and whose others are the fields of each event."""
    numbers = itertools.count(2)
    values = ", ".join(f"({', '.join(f'?{next(numbers)}' for _ in _FIELDS)}, ?1)" for _ in range(count))
    return f"INSERT INTO event ({_COLUMNS}, recorded_ms) VALUES {values} ON CONFLICT (id) DO NOTHING"


def _is_taken(keys: set[object], key: object) -> bool:
    """Whether it was among them; it is not afterwards."""
    if key not in keys:
        return False
    keys.remove(key)
    return True


def _describe(connection: sqlite3.Connection, activities: Sequence[Activity], now_ms: int) -> None:
    first: dict[str, Activity] = {}
    for activity in activities:
        first.setdefault(activity.id, activity)
    for activity in first.values():
        since = _shares_since(connection, activity, now_ms)
        connection.execute(_DESCRIBE, (activity.id, activity.name, activity.type, since))
        connection.execute("DELETE FROM experience WHERE activity_id = ?", (activity.id,))
        for position, one in enumerate(activity.experiences):
            connection.execute(_ADD_EXPERIENCE, (activity.id, position, one.id, one.name, one.share))


def _shares_since(connection: sqlite3.Connection, activity: Activity, now_ms: int) -> int:
    """0 for the first shares that are known: they may well be older than the ledger."""
    row = connection.execute("SELECT shares_since_ms FROM activity WHERE id = ?", (activity.id,)).fetchone()
    if row is None:
        return 0
    known = {key: share for key, _, share in connection.execute(EXPERIENCES, (activity.id,))}
    same = known == {one.id: one.share for one in activity.experiences}
    return int(row[0]) if same else now_ms
