"""Deliveries on disk, so that they outlive the process: a folder with one SQLite file for each process.

A file of its own, because SQLite must not be carried over a fork: a child that opens the file its parent has open believes
that it holds the parent's locks. Whose a file is, says a lock beside it (`claim`), which also tells when
its owner is dead: then the next process that opens the folder takes over what is in it. So nothing is sent by two
processes, and there is no lease that could run out while a process is frozen.

Written rows survive the end of the process, kill -9 included, but perhaps not that of the machine: commits are not synced
one by one. Files are private to the user (mode 0600), since they hold what visitors did.

A `Spool` is used by one thread, and must be referred to by nothing but that thread's frames: then a forked child, which has
no such thread, neither uses nor closes the parent's connection.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Self

import msgspec

from targetry.background.claim import Claim
from targetry.forks import ForkGate
from targetry.ids import new_id

_FORMAT: Final = 1
_ROWS_AT_A_TIME: Final = 500
_BUSY_S: Final = 0.5
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS delivery (id INTEGER PRIMARY KEY AUTOINCREMENT, "
    "url TEXT NOT NULL, body BLOB NOT NULL, count INTEGER NOT NULL, born REAL NOT NULL)"
)
_TOTALS: Final = "SELECT count(*), coalesce(sum(count), 0), coalesce(sum(length(body)), 0) FROM delivery"
_INSERT: Final = "INSERT INTO delivery (url, body, count, born) VALUES (?, ?, ?, ?)"
_PAGE: Final = "SELECT url, body, count, born, id FROM delivery WHERE id > ? ORDER BY id LIMIT ?"

Warn = Callable[[str], None]


class SpoolError(Exception):
    """The disk did not do what was asked; the text says why."""

    @property
    def corrupt(self) -> bool:
        """Whether it is the file's content that is wrong, so that the same would happen again."""
        return type(self.__cause__) is sqlite3.DatabaseError


class SpooledDelivery(msgspec.Struct, frozen=True):
    """What is kept: `body` is the JSON that is sent, `born` when it was offered (epoch seconds), `id` its row."""

    url: str
    body: bytes
    count: int
    born: float
    id: int = 0


# SQLite has locks of its own; in a child that was forked while they are held they would stay locked.
_sqlite: Final = ForkGate(longest_wait_s=1.0)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise SpoolError(f"{type(error).__name__}: {error}") from error


@contextlib.contextmanager
def _in_sqlite() -> Iterator[None]:
    with _sqlite.shut(), _translated():
        yield


class Spool:
    """One file of the folder. `rows` and `notifications` are what was in it when it was opened."""

    def __init__(self, claim: Claim, max_bytes: int) -> None:
        """Raises `SpoolError` for a file that cannot be used."""
        self.path = _data_of(claim)
        self._claim = claim
        self._max_bytes = max_bytes
        self.rows = self.notifications = self._bytes = 0
        with _in_sqlite():
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            self._connection = sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None)
            try:
                self._prepare()
                self.rows, self.notifications, self._bytes = self._connection.execute(_TOTALS).fetchone()
            except BaseException:
                self._connection.close()
                raise

    def _prepare(self) -> None:
        run = self._connection.execute
        run("PRAGMA locking_mode=EXCLUSIVE")  # nobody else may, and so no file for shared memory is needed
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=NORMAL")
        (version,) = run("PRAGMA user_version").fetchone()
        if version not in (0, _FORMAT):
            raise OSError(f"{self.path.name} has format {version}, this is {_FORMAT}")
        run(_SCHEMA)
        run(f"PRAGMA user_version={_FORMAT}")

    @classmethod
    def open(cls, folder: Path, max_bytes: int, warn: Warn) -> Self:
        """A file for this process, with what dead processes left in the folder.

        A file of theirs that cannot be read is renamed to `*.corrupt`, and told to `warn`. Raises `SpoolError`.
        """
        own: Self | None = None
        with _translated():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for claim in _leftovers(folder):
                spool = cls._reopen(claim, max_bytes, warn)
                if own is not None and spool is not None:
                    own._take_over(spool, warn)
                else:
                    own = own or spool
            return own or cls._make(folder, max_bytes)

    @classmethod
    def _make(cls, folder: Path, max_bytes: int) -> Self:
        claim = _new_claim(folder)
        try:
            return cls(claim, max_bytes)
        except SpoolError:
            claim.remove()
            raise

    @classmethod
    def _reopen(cls, claim: Claim, max_bytes: int, warn: Warn) -> Self | None:
        path = _data_of(claim)
        if not path.exists():
            claim.remove()
            return None
        try:
            return cls(claim, max_bytes)
        except SpoolError as error:
            warn(f"{path.name} cannot be used: {error}")
            if error.corrupt and _set_aside(path):
                claim.remove()
            else:
                claim.release()
            return None

    def _take_over(self, other: Self, warn: Warn) -> None:
        """Move all rows of `other` here. If the process dies just then, they may be in both, and be sent twice."""
        try:
            self._check_room(other._bytes)
            with _in_sqlite(), self._transaction():
                cursor = 0
                while rows := other._page(cursor, _ROWS_AT_A_TIME, other._bytes):
                    self._insert(rows)
                    cursor = rows[-1].id
            with _in_sqlite():
                other._connection.execute("DELETE FROM delivery")
            self.rows += other.rows
            self.notifications += other.notifications
        except SpoolError as error:
            warn(f"{other.path.name} could not be taken over, and is left for later: {error}")
        other.close()

    def add(self, deliveries: Sequence[SpooledDelivery]) -> list[int]:
        """Write them, all or none, and return their rows. Raises `SpoolError`, also when the spool is full."""
        self._check_room(sum(len(delivery.body) for delivery in deliveries))
        with _in_sqlite(), self._transaction():
            return self._insert(deliveries)

    def remove(self, rows: Sequence[int]) -> None:
        """Forget rows. Raises `SpoolError`, and then none is forgotten."""
        with _in_sqlite(), self._transaction():
            for row in rows:
                found = self._connection.execute(
                    "SELECT length(body) FROM delivery WHERE id = ?", (row,)
                ).fetchone()
                self._connection.execute("DELETE FROM delivery WHERE id = ?", (row,))
                self._bytes -= found[0] if found else 0

    def page(self, after: int, limit: int, max_bytes: int) -> list[SpooledDelivery]:
        """The rows that follow row `after`: at least one if there is one, at most `limit`. Raises `SpoolError`."""
        with _in_sqlite():
            return self._page(after, limit, max_bytes)

    def close(self) -> None:
        """Let the file go, and remove it if nothing is left in it. Never raises; may be called twice."""
        empty = False
        with contextlib.suppress(SpoolError), _in_sqlite():
            empty = self._connection.execute("SELECT 1 FROM delivery LIMIT 1").fetchone() is None
        with contextlib.suppress(SpoolError), _in_sqlite():
            self._connection.close()
        if not empty:
            self._claim.release()
            return
        for path in (self.path, *_companions(self.path)):
            with contextlib.suppress(OSError):
                path.unlink()
        self._claim.remove()

    def set_aside(self) -> None:
        """Close a file that is of no use any more, and keep it as `*.corrupt`. Never raises."""
        with contextlib.suppress(SpoolError), _in_sqlite():
            self._connection.close()
        if _set_aside(self.path):
            self._claim.remove()
        # Otherwise it stays claimed, so that this process does not take it for somebody else's.

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        run, before = self._connection.execute, self._bytes
        run("BEGIN IMMEDIATE")
        try:
            yield
            run("COMMIT")
        except BaseException:
            self._bytes = before
            with contextlib.suppress(sqlite3.Error):
                run("ROLLBACK")
            raise

    def _check_room(self, size: int) -> None:
        if self._bytes + size > self._max_bytes:
            raise SpoolError(f"full: {self._bytes} of {self._max_bytes} bytes are in use")

    def _insert(self, deliveries: Sequence[SpooledDelivery]) -> list[int]:
        rows = []
        for one in deliveries:
            done = self._connection.execute(_INSERT, (one.url, one.body, one.count, one.born))
            rows.append(done.lastrowid or 0)
            self._bytes += len(one.body)
        return rows

    def _page(self, after: int, limit: int, max_bytes: int) -> list[SpooledDelivery]:
        page: list[SpooledDelivery] = []
        for row in self._connection.execute(_PAGE, (after, limit)):
            page.append(SpooledDelivery(*row))
            max_bytes -= len(page[-1].body)
            if max_bytes <= 0:
                break
        return page


def _leftovers(folder: Path) -> Iterator[Claim]:
    for path in sorted(folder.glob("*.lock")):
        try:
            claim = Claim(path)
        except OSError:  # its owner lives
            continue
        yield claim


def _new_claim(folder: Path) -> Claim:
    while True:
        try:
            return Claim(folder / f"{os.getpid()}-{new_id()[:13]}.lock")
        except (BlockingIOError, FileNotFoundError):
            # Another process took the new file for a leftover, and has removed it by now, or is about to.
            if not folder.is_dir():
                raise


def _data_of(claim: Claim) -> Path:
    return claim.path.with_suffix(".db")


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
