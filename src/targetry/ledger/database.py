"""The ledger's file: one SQLite database in a folder, opened, checked, and replaced when it is damaged.

Processes may share a folder. They open the file one after the other, so that two that find it damaged do not both replace
it: what the first has begun, the second finds good.

A damaged file is renamed to `ledger-<n>.corrupt`, with its journal and with the reason in a text file beside it; nothing
is thrown away. Up to 64 MiB the whole file is checked at the start, which takes a fraction of a second; beyond that
only what opening it touches. A file of another application, or of a later version, is refused and left alone.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

from targetry._runtime.file_lock import FileLock
from targetry.ledger import schema
from targetry.ledger.errors import (
    CORRUPT,
    FOREIGN,
    LOCKED,
    REMOVED,
    LedgerError,
    LedgerVersionError,
    NoLedgerError,
    ledger_error,
    translated,
)
from targetry.ledger.file_guard import JOURNAL_BYTES, FileGuard
from targetry.ledger.schema import APPLICATION, FORMAT

FILE_NAME: Final = "ledger.db"
BUSY_S: Final = 5.0
"""Seconds that another process may keep the file locked, by default."""

_LOCK_NAME: Final = "ledger.opening"
_CHECKED_BYTES: Final = 64 * 1024 * 1024
_JOURNAL_PAGES: Final = (
    4000  # after which it is brought into the file: in SQLite's 1000 are the pages of some 500 events
)
_PAUSE_S: Final = 0.01
_OPENING_S: Final = 10.0  # for which others, who open it before, are waited for
_TAKEN: Final = (BlockingIOError, FileNotFoundError) + ((PermissionError,) if sys.platform == "win32" else ())
_UPGRADE_ROWS: Final = 20_000  # between two reports of progress
_UPGRADE_CACHE_KB: Final = 64 * 1024
_COMPANIONS: Final = ("-wal", "-shm")
# What fails on a damaged file that is too large to be checked: the newest row, and the way to it by its id.
_PROBE: Final = "SELECT count(*) FROM event WHERE id = (SELECT id FROM event ORDER BY seq DESC LIMIT 1)"

Sync = Literal["FULL", "NORMAL"]
Warn = Callable[[str], None]
Progress = Callable[[int, int], object]
"""Called with the number of events that are done, and of all."""


def no_progress(done: int, total: int) -> None:
    """Report nothing."""


def open_for_writing(
    folder: Path, sync: Sync, busy_timeout: float, warn: Warn, progress: Progress = no_progress
) -> sqlite3.Connection:
    """A connection that one thread at a time may use. Raises `LedgerError`.

    A file of an earlier format is brought up to date, which takes some 10 s for a million events; `progress` is
    called meanwhile.
    """
    path = folder / FILE_NAME
    with translated(path):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(folder, path):
            try:
                return _prepared(path, sync, busy_timeout, progress)
            except (sqlite3.Error, LedgerError) as error:
                found = ledger_error(path, error)
                if found.reason != CORRUPT:
                    raise
                kept = _set_aside(path, str(found))
                warn(f"{found}; it is kept as {kept.name}, and a new ledger is begun")
                return _prepared(path, sync, busy_timeout, progress)


class LedgerFile:
    """The open database of a folder, for one thread at a time; a fault of its files is noticed and repaired."""

    def __init__(
        self,
        folder: Path,
        sync: Sync,
        busy_timeout: float,
        warn: Warn,
        progress: Progress = no_progress,
    ) -> None:
        """Raises `LedgerError`."""
        self.path = folder / FILE_NAME
        self.on_reopen: Callable[[sqlite3.Connection], object] = _nothing
        self._folder = folder
        self._sync = sync
        self._busy_timeout = busy_timeout
        self._warn = warn
        self._progress = progress
        self._guard: FileGuard | None = None
        self._connection: sqlite3.Connection | None = None
        self._open()

    def connection(self) -> sqlite3.Connection:
        """Return the connection, to files that are there; after a fault, to a new file. Raises `LedgerError`."""
        if self._connection is not None:
            self.check()
            return self._connection
        connection = self._open()
        with translated(self.path):
            self.on_reopen(connection)
        return connection

    def check(self) -> None:
        """Raise `LedgerError` if what was written is not in the file of this path; `connection` then opens another."""
        assert self._guard is not None
        try:
            self._guard.check()
        except LedgerError as error:
            self._give_up(error)
            raise

    def close(self) -> None:
        """Close the connection. SQLite then deletes the journal, unless others have it open."""
        if self._connection is not None:
            with contextlib.suppress(LedgerError):
                self.check()
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _open(self) -> sqlite3.Connection:
        self._connection = open_for_writing(
            self._folder, self._sync, self._busy_timeout, self._warn, self._progress
        )
        self._guard = FileGuard(self.path, partial(_check_again, busy_timeout=self._busy_timeout))
        return self._connection

    def _give_up(self, error: LedgerError) -> None:
        """Close the connection, once the path leads to another file: else SQLite would write its journal back."""
        assert self._guard is not None
        assert self._connection is not None
        if error.reason == REMOVED:
            self._guard.remove_companions()
        else:
            with translated(self.path), _alone(self._folder, self.path):
                if not _copy_over(self._connection, self.path):
                    kept = _set_aside(self.path, str(error))
                    self._warn(f"{error}; it is kept as {kept.name}, and a new ledger is begun")
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()
        self._connection = None


def _nothing(connection: sqlite3.Connection) -> None:
    """A new file stays empty."""


def _copy_over(connection: sqlite3.Connection, path: Path) -> bool:
    """Replace the file by a copy of what the connection still reads; return whether that could be done."""
    copy = path.with_name(f"{path.name}.copy")
    try:
        copy.unlink(missing_ok=True)
        file = os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            connection.execute("VACUUM INTO ?", (str(copy),))
            os.fsync(file)
        finally:
            os.close(file)
        for companion in _COMPANIONS:
            Path(f"{path}{companion}").unlink(missing_ok=True)
        copy.replace(path)
    except (sqlite3.Error, OSError):
        copy.unlink(missing_ok=True)
        return False
    return True


def _check_again(path: Path, busy_timeout: float) -> None:
    """Read the file by a new connection, which has nothing of it in its cache."""
    with contextlib.closing(_snapshot(path, "mode=rw", busy_timeout)) as connection:
        _check_content(connection, path)


def open_for_reading(folder: Path, busy_timeout: float) -> sqlite3.Connection:
    """A connection that sees the ledger as it is now, whatever is recorded meanwhile. Raises `LedgerError`."""
    path = folder / FILE_NAME
    with translated(path):
        if not path.is_file():
            raise NoLedgerError("missing", f"there is no ledger in {folder}")
        try:
            return _snapshot(path, "mode=ro", busy_timeout)
        except sqlite3.OperationalError:
            if _has_journal(path):
                raise
            # A folder that may not be written to, where nobody can be recording either.
            return _snapshot(path, "immutable=1", busy_timeout)


@contextlib.contextmanager
def _alone(folder: Path, path: Path) -> Iterator[None]:
    claim = _claim(folder / _LOCK_NAME, path)
    try:
        yield
    finally:
        claim.remove()


def _claim(lock: Path, path: Path) -> FileLock:
    """Wait for others that open the file; for as long as they work on it, as when they bring it up to date."""
    deadline, size = time.monotonic() + _OPENING_S, -1
    while True:
        try:
            return FileLock(lock)
        except _TAKEN as error:
            now = time.monotonic()
            if size != (size := _size_with_journal(path)):
                deadline = now + _OPENING_S
            if now >= deadline:
                raise LedgerError(
                    LOCKED, f"the ledger {path}: another process is busy with opening it"
                ) from error
        time.sleep(_PAUSE_S)


def _size_with_journal(path: Path) -> int:
    total = 0
    for file in (path, Path(f"{path}-wal")):
        with contextlib.suppress(OSError):
            total += file.stat().st_size
    return total


def _prepared(path: Path, sync: Sync, busy_timeout: float, progress: Progress) -> sqlite3.Connection:
    with contextlib.suppress(
        FileExistsError
    ):  # opening and closing it would drop SQLite's locks of this process
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))  # it holds what visitors did
    connection = sqlite3.connect(path, timeout=busy_timeout, isolation_level=None, check_same_thread=False)
    try:
        _check_format(connection, path)
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # of a file that is empty
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {sync}")
        connection.execute(f"PRAGMA journal_size_limit = {JOURNAL_BYTES}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_JOURNAL_PAGES}")
        _make_tables(connection, progress)
        _check_content(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_format(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and application != APPLICATION:
        raise LedgerError(FOREIGN, f"{path} is a database of another application")
    if version > FORMAT:
        raise LedgerVersionError(
            FOREIGN,
            f"the ledger {path} is of format {version}, and this version of Targetry knows formats up to {FORMAT}: "
            "use a later version, or another folder",
        )


def _make_tables(connection: sqlite3.Connection, progress: Progress) -> None:
    """Make the tables of the current format, from nothing or from an earlier format."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == FORMAT:
        return
    with connection:  # rolls back after an error
        connection.execute("BEGIN IMMEDIATE")
        statements = (*schema.UPGRADE, *schema.SUMS)
        for statement in statements if version else (*schema.FIRST_FORMAT, *statements):
            connection.execute(statement)
        if version:
            _count_events(connection, progress)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {FORMAT}")
    if version:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # takes effect when the file is written anew
        connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint")  # the journal begins anew


def _count_events(connection: sqlite3.Connection, progress: Progress) -> None:
    """Build the sums of the events that the file already holds."""
    (size,) = connection.execute("PRAGMA cache_size").fetchone()
    connection.execute(f"PRAGMA cache_size = {-_UPGRADE_CACHE_KB}")
    connection.execute(schema.COUNT_IMPRESSIONS)
    first, last = connection.execute("SELECT ifnull(min(seq), 0), ifnull(max(seq), -1) FROM event").fetchone()
    for start in range(first, last + 1, _UPGRADE_ROWS):
        progress(start - first, last + 1 - first)
        end = start + _UPGRADE_ROWS
        connection.execute(f"{schema.COUNT_EVENTS} WHERE seq >= ? AND seq < ?", (start, end))
    now_ms = int(time.time() * 1000)
    connection.execute("UPDATE event SET recorded_ms = ? WHERE timestamp_ms > ?", (now_ms, now_ms))
    progress(last + 1 - first, last + 1 - first)
    connection.execute(f"PRAGMA cache_size = {size}")


def _check_content(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute(_PROBE).fetchone()
    if path.stat().st_size > _CHECKED_BYTES:
        return
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise LedgerError(CORRUPT, f"the ledger {path}: its content is damaged ({found})")


def _set_aside(path: Path, reason: str) -> Path:
    number = 1
    while (kept := path.with_name(f"ledger-{number}.corrupt")).exists():
        number += 1
    path.rename(kept)
    for companion in _COMPANIONS:  # beside the file, under the names by which SQLite finds them
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{companion}").rename(f"{kept}{companion}")
    with contextlib.suppress(OSError):
        kept.with_name(f"{kept.name}.txt").write_text(f"{reason}\n", "utf-8")
    return kept


def _snapshot(path: Path, mode: str, busy_timeout: float) -> sqlite3.Connection:
    uri = f"file:{quote(str(path.absolute()))}?{mode}"
    connection = sqlite3.connect(
        uri, uri=True, timeout=busy_timeout, isolation_level=None, check_same_thread=False
    )
    connection.text_factory = _decoded  # other programs can write to the file
    try:
        _check_format(connection, path)
        connection.execute("BEGIN")
        connection.execute(_PROBE).fetchone()  # the first read fixes what is seen
    except BaseException:
        connection.close()
        raise
    return connection


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _has_journal(path: Path) -> bool:
    try:
        return Path(f"{path}-wal").stat().st_size > 0
    except FileNotFoundError:
        return False
