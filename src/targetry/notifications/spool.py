"""Spool of notifications: a folder with one SQLite file per process, which outlives the process.

SQLite must not be used across a fork: a child that opens the file of its parent believes that it
holds the parent's locks. So each process has a file of its own. A lock file next to it belongs to
the process, and shows when the process is dead: then the next process that opens the folder takes
over the rows. So no row is sent by two processes, and there is no lease that could expire while a
process is frozen.

Written rows survive the end of the process, also by SIGKILL, but perhaps not the end of the
machine: commits are not synced one by one. Files are private to the user (mode 0600), since they
contain what visitors did; files of other users are not read.

Rows contain session and cluster of a delivery, and not its URL, which the sending client builds. A
file belongs to one client account, whose name it contains.

Ages are counted on a clock of the file, which runs only while a process has the file open. So a
jump of the wall clock neither expires a backlog nor keeps it, and the time without a process does
not count. If a process is killed, at most a minute of an age is lost.

A `Spool` is used by one thread, and only frames of that thread refer to it: a forked child, which
does not have the thread, neither uses nor closes the parent's connection.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from targetry._runtime.file_lock import FileLock
from targetry._runtime.files import check_folder, check_private_if_exists, make_folder, open_private
from targetry._runtime.forks import ForkLock
from targetry._runtime.ids import new_id
from targetry.delivery.hosts import DeliveryAddress, cluster_number

_FORMAT: Final = 2
_ROWS_AT_A_TIME: Final = 500
_BUSY_S: Final = 0.5
_SAVE_CLOCK_S: Final = 60.0
_MAX_CLUSTERS: Final = 32  # in one file; rows of others count as rows of the client's own host
_SCHEMA: Final = (
    "CREATE TABLE delivery (id INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL, "
    "cluster TEXT, body BLOB NOT NULL, count INTEGER NOT NULL, born REAL NOT NULL)",
    "CREATE INDEX by_cluster ON delivery (cluster, id)",
    "CREATE TABLE file (identity TEXT NOT NULL, clock REAL NOT NULL)",
)
_TOTALS: Final = "SELECT coalesce(sum(length(body)), 0), coalesce(max(id), 0) FROM delivery"
_BACKLOGS: Final = (
    "SELECT cluster, count(*), sum(count) FROM delivery GROUP BY cluster ORDER BY count(*) DESC"
)
_INSERT: Final = "INSERT INTO delivery (session, cluster, body, count, born) VALUES (?, ?, ?, ?, ?)"
_COLUMNS: Final = "SELECT session, cluster, body, count, born, id FROM delivery "
_PAGE: Final = _COLUMNS + "WHERE id > ? ORDER BY id LIMIT ?"
_PAGE_OF_CLUSTER: Final = _COLUMNS + "WHERE cluster IS ? AND id > ? ORDER BY id LIMIT ?"

Clock = Callable[[], float]


class SpoolError(Exception):
    """An operation on the disk failed; the text says why."""

    @property
    def corrupt(self) -> bool:
        """Whether the content of the file is damaged, so that a repetition would fail too."""
        return type(self.__cause__) is sqlite3.DatabaseError


class SpooledDelivery(msgspec.Struct, frozen=True):
    """A row: `body` is JSON, `age` the seconds since its submission, `id` its number."""

    session_id: str
    cluster: str | None
    body: bytes
    count: int
    age: float
    id: int = 0


class Backlog(msgspec.Struct, frozen=True):
    """Numbers of deliveries and notifications of one cluster in a file."""

    cluster: str | None
    deliveries: int
    notifications: int


# SQLite has locks; in a child that is forked while they are held, they would stay locked.
_sqlite: Final = ForkLock(longest_wait_s=1.0)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise SpoolError(f"{type(error).__name__}: {error}") from error


@contextlib.contextmanager
def _in_sqlite() -> Iterator[None]:
    with _sqlite.hold(), _translated():
        yield


class Spool:
    """One file of the folder. `foreign` counts notifications of other accounts in it."""

    def __init__(
        self, lock: FileLock, max_bytes: int, address: DeliveryAddress, clock: Clock = time.monotonic
    ) -> None:
        """Open the file of a lock; raise `SpoolError` if it cannot be used."""
        self.path = _data_of(lock)
        self.foreign = 0
        self._lock_file = lock
        self._max_bytes = max_bytes
        self._address = address
        self._clock = clock
        self._offset = -clock()  # of the clock of a new file
        self._saved_at = clock()
        self._bytes = self.newest_row = 0
        with _in_sqlite():
            os.close(open_private(self.path, os.O_RDWR | os.O_CREAT))
            self._check_companions()
            self._connection = sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None)
            try:
                self._prepare()
                self._bytes, self.newest_row = self._connection.execute(_TOTALS).fetchone()
            except BaseException:
                self._connection.close()
                raise

    def _check_companions(self) -> None:
        for path in (self.path, *_companions(self.path)):
            check_private_if_exists(path)

    def _prepare(self) -> None:
        run = self._connection.execute
        run("PRAGMA locking_mode=EXCLUSIVE")  # needs no file for shared memory
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=NORMAL")
        (version,) = run("PRAGMA user_version").fetchone()
        self._check_companions()  # again, because now they are open
        if version not in (0, 1, _FORMAT):
            raise OSError(f"{self.path.name} has format {version}, this is {_FORMAT}")
        if version != _FORMAT:
            with self._transaction():
                self._make_tables(is_old=version == 1)
        identity, clock = run("SELECT identity, clock FROM file").fetchone()
        if identity != self._address.identity:
            raise SpoolError(f"it is of another account, {identity}")
        self._offset = clock - self._clock()
        self._check_clusters()

    def _check_clusters(self) -> None:
        """Assign rows of invalid clusters, and of too many clusters, to the client's own host."""
        clusters = [cluster for cluster, _, _ in self._connection.execute(_BACKLOGS) if cluster is not None]
        valid = [cluster for cluster in clusters if cluster_number(str(cluster)) == cluster]
        for cluster in set(clusters) - set(valid[:_MAX_CLUSTERS]):
            self._connection.execute("UPDATE delivery SET cluster = NULL WHERE cluster IS ?", (cluster,))

    def _make_tables(self, *, is_old: bool) -> None:
        run = self._connection.execute
        if is_old:
            run("ALTER TABLE delivery RENAME TO old")
        for statement in _SCHEMA:
            run(statement)
        run("INSERT INTO file VALUES (?, 0)", (self._address.identity,))
        if is_old:
            self._convert()
            run("DROP TABLE old")
        run(f"PRAGMA user_version={_FORMAT}")

    def _convert(self) -> None:
        """Convert rows of format 1, which contain URLs, if this client would build the same URL."""
        rows = self._connection.execute("SELECT url, body, count FROM old ORDER BY id")
        for url, body, count in rows:
            parsed = self._address.parse(url)
            if parsed is None:
                self.foreign += count
            else:
                self._connection.execute(_INSERT, (*parsed, body, count, 0.0))

    @classmethod
    def open(
        cls,
        folder: Path,
        max_bytes: int,
        address: DeliveryAddress,
        problems: dict[str, str],
        clock: Clock = time.monotonic,
    ) -> Self:
        """Return a file for this process: one that a dead process has left, else a new one.

        Args:
            folder: The folder, which is created if it does not exist.
            max_bytes: Bytes of the bodies in the file.
            address: Address of the client account.
            problems: Receives the names of files that cannot be used, with the reason.
            clock: Monotonic time in seconds.

        Raises:
            SpoolError: If the folder or a new file cannot be used.
        """
        with _translated():
            make_folder(folder, 0o700)
            check_folder(folder)
            for lock in _leftovers(folder, problems):
                own = cls._reopen(lock, max_bytes, address, problems, clock)
                if own is not None:
                    return own
            lock = _new_lock(folder)
            try:
                return cls(lock, max_bytes, address, clock)
            except SpoolError:
                lock.remove()
                raise

    def backlogs(self) -> list[Backlog]:
        """Return the numbers of rows by cluster, or raise `SpoolError`."""
        with _in_sqlite():
            return [Backlog(*row) for row in self._connection.execute(_BACKLOGS)]

    def adopt(self, problems: dict[str, str]) -> list[Backlog]:
        """Move the rows of dead processes in the folder here, and return their numbers.

        A damaged file is renamed to `*.corrupt`. Other files that cannot be used stay; `problems`
        receives their names, with the reason. Never raises.
        """
        backlogs: dict[str | None, Backlog] = {}
        for lock in _leftovers(self.path.parent, problems):
            other = self._reopen(lock, self._max_bytes, self._address, problems, self._clock)
            if other is None:
                continue
            for backlog in self._take_over(other, problems):
                known = backlogs.get(backlog.cluster, Backlog(backlog.cluster, 0, 0))
                backlogs[backlog.cluster] = Backlog(
                    backlog.cluster,
                    known.deliveries + backlog.deliveries,
                    known.notifications + backlog.notifications,
                )
        return list(backlogs.values())

    @classmethod
    def _reopen(
        cls,
        lock: FileLock,
        max_bytes: int,
        address: DeliveryAddress,
        problems: dict[str, str],
        clock: Clock,
    ) -> Self | None:
        path = _data_of(lock)
        if not path.exists() and not path.is_symlink():
            lock.remove()
            return None
        try:
            return cls(lock, max_bytes, address, clock)
        except SpoolError as error:
            problems[path.name] = str(error)
            if error.corrupt and _set_aside(path):
                lock.remove()
            else:
                lock.release()
            return None

    def _take_over(self, other: Self, problems: dict[str, str]) -> list[Backlog]:
        """Move all rows of `other` here; if the process dies in between, they may be sent twice."""
        try:
            self._check_room(other._bytes)
            backlogs = other.backlogs()
            with _in_sqlite(), self._transaction():
                cursor = 0
                while rows := other._rows(other._bytes, _PAGE, (cursor, _ROWS_AT_A_TIME)):
                    self._insert(rows)
                    cursor = rows[-1].id
            other._close(remove=True)  # unlike the deletion of rows, needs no room on the disk
            self.foreign += other.foreign
            return backlogs
        except SpoolError as error:
            problems[other.path.name] = f"not taken over, and left for later: {error}"
            return []
        finally:
            other.close()

    def add(self, deliveries: Sequence[SpooledDelivery]) -> list[int]:
        """Write all and return their rows, or none and raise `SpoolError`, also if it is full."""
        self._check_room(sum(len(delivery.body) for delivery in deliveries))
        with _in_sqlite(), self._transaction():
            return self._insert(deliveries)

    def remove(self, rows: Sequence[int]) -> None:
        """Delete all rows, or none and raise `SpoolError`."""
        with _in_sqlite(), self._transaction():
            for row in rows:
                found = self._connection.execute(
                    "SELECT length(body) FROM delivery WHERE id = ?", (row,)
                ).fetchone()
                self._connection.execute("DELETE FROM delivery WHERE id = ?", (row,))
                self._bytes -= found[0] if found else 0

    def page(self, cluster: str | None, after: int, limit: int, max_bytes: int) -> list[SpooledDelivery]:
        """Return the next rows of a cluster, at least one if there is one.

        Args:
            cluster: The cluster, None for the client's own host.
            after: The row before the first one.
            limit: Rows at most.
            max_bytes: Bytes of bodies after which no further row is read.

        Raises:
            SpoolError: If the file cannot be read.
        """
        with _in_sqlite():
            return self._rows(max_bytes, _PAGE_OF_CLUSTER, (cluster, after, limit))

    def save_clock(self) -> None:
        """Write the clock of the file unless it was written within a minute; raise `SpoolError`."""
        if self._clock() - self._saved_at >= _SAVE_CLOCK_S:
            with _in_sqlite(), self._transaction():
                pass

    def close(self) -> None:
        """Close the file, and remove it if it is empty; never raise, also at a second call."""
        empty = False
        with contextlib.suppress(SpoolError), _in_sqlite():
            empty = self._connection.execute("SELECT 1 FROM delivery LIMIT 1").fetchone() is None
        self._close(remove=empty)

    def _close(self, *, remove: bool) -> None:
        with contextlib.suppress(SpoolError), _in_sqlite():
            if not remove:
                self._write_clock()
        with contextlib.suppress(SpoolError), _in_sqlite():
            self._connection.close()
        if not remove:
            self._lock_file.release()
            return
        for path in (self.path, *_companions(self.path)):
            with contextlib.suppress(OSError):
                path.unlink()
        self._lock_file.remove()

    def set_aside(self) -> None:
        """Close a damaged file and rename it to `*.corrupt`; never raise."""
        with contextlib.suppress(SpoolError), _in_sqlite():
            self._connection.close()
        if _set_aside(self.path):
            self._lock_file.remove()
        # Otherwise it stays locked, so that this process does not take it for one of a dead
        # process.

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        run, before = self._connection.execute, (self._bytes, self.newest_row)
        run("BEGIN IMMEDIATE")
        try:
            yield
            self._write_clock()
            run("COMMIT")
        except BaseException:
            self._bytes, self.newest_row = before  # SQLite reuses those row ids
            with contextlib.suppress(sqlite3.Error):
                run("ROLLBACK")
            raise

    def _write_clock(self) -> None:
        self._saved_at = self._clock()
        self._connection.execute("UPDATE file SET clock = ?", (self._now(),))

    def _now(self) -> float:
        """Return the time on the clock of the file."""
        return self._clock() + self._offset

    def _check_room(self, size: int) -> None:
        if self._bytes + size > self._max_bytes:
            raise SpoolError(f"full: {self._bytes} of {self._max_bytes} bytes are in use")

    def _insert(self, deliveries: Sequence[SpooledDelivery]) -> list[int]:
        rows, now = [], self._now()
        for one in deliveries:
            values = (one.session_id, one.cluster, one.body, one.count, now - one.age)
            rows.append(self._connection.execute(_INSERT, values).lastrowid or 0)
            self._bytes += len(one.body)
        self.newest_row = rows[-1] if rows else self.newest_row
        return rows

    def _rows(self, max_bytes: int, query: str, arguments: tuple[Any, ...]) -> list[SpooledDelivery]:
        rows: list[SpooledDelivery] = []
        now = self._now()
        for session_id, cluster, body, count, born, row in self._connection.execute(query, arguments):
            rows.append(SpooledDelivery(session_id, cluster, body, count, max(0.0, now - born), row))
            max_bytes -= len(body)
            if max_bytes <= 0:
                break
        return rows


def _leftovers(folder: Path, problems: dict[str, str]) -> Iterator[FileLock]:
    for path in sorted(folder.glob("*.lock")):
        try:
            lock = FileLock(path)
        except (BlockingIOError, FileNotFoundError):  # its process lives, or another one took it
            continue
        except OSError as error:
            problems[path.name] = str(error)
            continue
        yield lock


def _new_lock(folder: Path) -> FileLock:
    while True:
        try:
            return FileLock(folder / f"{os.getpid()}-{new_id()[:13]}.lock")
        except (BlockingIOError, FileNotFoundError):
            # Another process took the new file for one of a dead process and removes it.
            if not folder.is_dir():
                raise


def _data_of(lock: FileLock) -> Path:
    return lock.path.with_suffix(".db")


def _companions(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", "-journal")]


def _set_aside(path: Path) -> bool:
    try:
        path.rename(path.with_name(path.name + ".corrupt"))
    except OSError:
        return False
    for companion in _companions(path):
        with contextlib.suppress(OSError):
            companion.unlink()
    return True
