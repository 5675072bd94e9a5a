"""SQLite database of a ledger: opening, integrity check, upgrade, replacement of a damaged file.

Processes can share a folder. They open the file one after the other, so that only one of them
replaces a damaged file.

A damaged file is renamed to `ledger-<n>.corrupt`, with its journal, and a text file next to it
holds the reason; nothing is deleted. A file of up to 64 MiB is checked as a whole when it is
opened, which takes a fraction of a second; of a larger one only the pages that opening reads. A
file of another application or of a later format is an error and stays unchanged.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

from targetry._runtime.file_lock import LOCK_IS_HELD, FileLock
from targetry._runtime.files import make_folder
from targetry.ledger import schema
from targetry.ledger.counting import count_chunk
from targetry.ledger.errors import (
    CORRUPT,
    FOREIGN,
    LOCKED,
    REMOVED,
    LedgerError,
    LedgerVersionError,
    ledger_error,
    missing_ledger,
    translate_errors,
)
from targetry.ledger.file_guard import JOURNAL_BYTES, FileGuard
from targetry.ledger.schema import APPLICATION, FORMAT

FILE_NAME: Final = "ledger.db"
BUSY_S: Final = 5.0
"""Seconds that another process may keep the file locked, by default."""

_LOCK_NAME: Final = "ledger.opening"
_CHECKED_BYTES: Final = 64 * 1024 * 1024
# Journal pages before a checkpoint. SQLite's default of 1000 holds the pages of some 500 events.
_JOURNAL_PAGES: Final = 4000
# Holds the indexes of some 100,000 events; with the default of 2 MB pages are read again.
_CACHE_KB: Final = 8_000
# For each number of inserted events two, with orders and without; some 60 for counting. To prepare
# one for 32 events takes 0.4 ms.
_PREPARED_STATEMENTS: Final = 256
_PAUSE_S: Final = 0.01
_OPENING_S: Final = 10.0  # longest wait for a process that opens the file and makes no progress
_UPGRADE_ROWS: Final = 20_000  # between two reports of progress
_UPGRADE_CACHE_KB: Final = 64 * 1024
_COMPANIONS: Final = ("-wal", "-shm")
# Reads the newest row and the index path to it, which fails on most damaged files of any size.
_PROBE: Final = "SELECT count(*) FROM event WHERE id = (SELECT id FROM event ORDER BY seq DESC LIMIT 1)"

Sync = Literal["FULL", "NORMAL"]
Warn = Callable[[str], None]
Progress = Callable[[int, int], object]
"""Callback that takes the number of processed events and the number of all."""


def no_progress(done: int, total: int) -> None:
    """Ignore progress."""


def open_for_writing(
    folder: Path, sync: Sync, busy_timeout: float, warn: Warn, progress: Progress = no_progress
) -> sqlite3.Connection:
    """Open the database of a folder, which is created if missing, in the current format.

    Args:
        folder: The ledger's folder.
        sync: SQLite's `synchronous` setting.
        busy_timeout: Seconds to wait for a lock of another process.
        warn: Called if a damaged file is replaced.
        progress: Called during the upgrade of a file of an earlier format, which takes some 10 s
            for a million events.

    Returns:
        A connection, for one thread at a time.

    Raises:
        LedgerError: The file cannot be opened.
    """
    path = folder / FILE_NAME
    with translate_errors(path):
        make_folder(folder, 0o700)
        with _opening_lock(folder, path):
            try:
                return _connect(path, sync, busy_timeout, progress)
            except (sqlite3.Error, LedgerError) as error:
                found = ledger_error(path, error)
                if found.reason != CORRUPT:
                    raise
                kept = _rename_damaged(path, str(found))
                warn(f"{found}; the file is kept as {kept.name}, and a new ledger is started")
                return _connect(path, sync, busy_timeout, progress)


class LedgerFile:
    """Open database of a folder, for one thread at a time; detects and repairs faults of its files.

    `on_reopen` is called with the connection to a new file that replaces the one in use.
    """

    def __init__(
        self,
        folder: Path,
        sync: Sync,
        busy_timeout: float,
        warn: Warn,
        progress: Progress = no_progress,
    ) -> None:
        """Open the database as `open_for_writing` does. Raises `LedgerError`."""
        self.path = folder / FILE_NAME
        self.on_reopen: Callable[[sqlite3.Connection], object] = _leave_empty
        self._folder = folder
        self._sync = sync
        self._busy_timeout = busy_timeout
        self._warn = warn
        self._progress = progress
        self._guard: FileGuard | None = None
        self._connection: sqlite3.Connection | None = None
        self._open()

    def connection(self) -> sqlite3.Connection:
        """Return the connection; one to a new file after a fault. Raises `LedgerError`.

        The caller holds the write lock.
        """
        if self._connection is not None:
            self.check(has_written=False)
            return self._connection
        connection = self._open()
        with translate_errors(self.path):
            self.on_reopen(connection)
        return connection

    def intact_connection(self) -> sqlite3.Connection | None:
        """Return the connection; None after a fault, which is left to `connection` to repair.

        Unlike `connection`, it needs no write lock: a repair without it could copy the file while
        another process commits.
        """
        assert self._guard is not None
        try:
            self._guard.check()
        except LedgerError:
            return None
        return self._connection

    def check(self, *, has_written: bool = True) -> None:
        """Check that the files on the path hold the written data; `connection` reopens them if not.

        Args:
            has_written: As of `FileGuard.check`.

        Raises:
            LedgerError: The files were removed, replaced or damaged.
        """
        assert self._guard is not None
        try:
            self._guard.check(has_written=has_written)
        except LedgerError as error:
            self._disconnect(error)
            raise

    def close(self, lock: contextlib.AbstractContextManager[object]) -> None:
        """Close the connection. SQLite then deletes the journal, unless another process uses it.

        Args:
            lock: The write lock, under which a damaged file is repaired. If another process holds
                it for too long, the connection is closed without a check.
        """
        with contextlib.suppress(LedgerError), lock:
            if self._connection is not None:
                self.check()
        connection, self._connection = self._connection, None
        if connection is not None:
            assert self._guard is not None
            self._guard.close()
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _open(self) -> sqlite3.Connection:
        self._connection = open_for_writing(
            self._folder, self._sync, self._busy_timeout, self._warn, self._progress
        )
        self._guard = FileGuard(self.path, partial(_check_again, busy_timeout=self._busy_timeout))
        return self._connection

    def _disconnect(self, error: LedgerError) -> None:
        """Close the connection, but first clear the path: SQLite would write its journal back."""
        assert self._guard is not None
        assert self._connection is not None
        self._guard.close()
        if error.reason == REMOVED:
            self._guard.remove_companions()
        else:
            with translate_errors(self.path), _opening_lock(self._folder, self.path):
                if not _replace_by_copy(self._connection, self.path):
                    kept = _rename_damaged(self.path, str(error))
                    self._warn(f"{error}; the file is kept as {kept.name}, and a new ledger is started")
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()
        self._connection = None


def _leave_empty(connection: sqlite3.Connection) -> None:
    """Leave a new file as it is."""


def _replace_by_copy(connection: sqlite3.Connection, path: Path) -> bool:
    """Replace the file by a copy of the rows that the connection still reads; return success."""
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
    """Check the file through a new connection, which has no cached pages."""
    with contextlib.closing(_snapshot(path, "mode=rw", busy_timeout)) as connection:
        _check_content(connection, path)


def open_for_reading(folder: Path, busy_timeout: float) -> sqlite3.Connection:
    """Return a connection to a snapshot of the ledger. Raises `LedgerError`."""
    path = folder / FILE_NAME
    with translate_errors(path):
        if not path.is_file():
            raise missing_ledger(folder)
        try:
            return _snapshot(path, "mode=ro", busy_timeout)
        except sqlite3.OperationalError as error:
            if _has_journal(path) or ledger_error(path, error).reason == LOCKED:
                raise
            # The folder is read-only, so no process is recording there.
            return _snapshot(path, "immutable=1", busy_timeout)


def open_for_counting(folder: Path, busy_timeout: float) -> sqlite3.Connection:
    """Return a connection that can write to an existing file, in autocommit mode.

    Raises:
        sqlite3.Error: The file cannot be opened.
    """
    return _open_file(folder / FILE_NAME, "mode=rw", busy_timeout)


@contextlib.contextmanager
def _opening_lock(folder: Path, path: Path) -> Iterator[None]:
    lock = _acquire(folder / _LOCK_NAME, path)
    try:
        yield
    finally:
        lock.remove()


def _acquire(lock: Path, path: Path) -> FileLock:
    """Wait for processes that open the file, as long as the file still grows, as in an upgrade."""
    deadline, size = time.monotonic() + _OPENING_S, -1
    while True:
        try:
            return FileLock(lock)
        except LOCK_IS_HELD as error:
            now = time.monotonic()
            if size != (size := _size_with_journal(path)):
                deadline = now + _OPENING_S
            if now >= deadline:
                raise LedgerError(
                    LOCKED, f"the ledger {path} is locked: another process is opening it; try again"
                ) from error
        time.sleep(_PAUSE_S)


def _size_with_journal(path: Path) -> int:
    total = 0
    for file in (path, Path(f"{path}-wal")):
        with contextlib.suppress(OSError):
            total += file.stat().st_size
    return total


def _connect(path: Path, sync: Sync, busy_timeout: float, progress: Progress) -> sqlite3.Connection:
    # Readable by its owner only. An existing file is not opened here: closing it would drop the
    # locks that SQLite holds on it in this process.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    connection = sqlite3.connect(
        path,
        timeout=busy_timeout,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_PREPARED_STATEMENTS,
    )
    try:
        _check_format(connection, path)
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # takes effect in an empty file
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {sync}")
        connection.execute(f"PRAGMA journal_size_limit = {JOURNAL_BYTES}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_JOURNAL_PAGES}")
        _make_tables(connection, progress)
        # SQLite creates a file for the undo log of each insertion, and one for temporary tables.
        # Not before an upgrade: VACUUM makes a copy of the ledger.
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA cache_size = {-_CACHE_KB}")
        # Some builds of SQLite write a page again when it is freed, to fill it with zeros.
        connection.execute("PRAGMA secure_delete = FAST")
        _check_content(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def format_of(connection: sqlite3.Connection) -> int:
    """Return the format of a ledger's file, 0 for an empty one. Raises `sqlite3.Error`."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _check_format(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    version = format_of(connection)
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and application != APPLICATION:
        raise LedgerError(FOREIGN, f"{path} is a database of another application; use another folder")
    if version > FORMAT:
        raise LedgerVersionError(
            FOREIGN,
            f"the ledger {path} has format {version}, and this version of Targetry reads formats up to {FORMAT}; "
            "use a later version or another folder",
        )


def _make_tables(connection: sqlite3.Connection, progress: Progress) -> None:
    """Create the tables of the current format in an empty file or in one of an earlier format."""
    version = format_of(connection)
    if version == FORMAT:
        return
    with connection:  # rolls back after an error
        connection.execute("BEGIN IMMEDIATE")
        for statement in upgrade_statements(version):
            connection.execute(statement)
        if 0 < version < schema.SUMS_FORMAT:
            _count_events(connection, progress)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {FORMAT}")
    if 0 < version < schema.SUMS_FORMAT:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # takes effect with VACUUM
        connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint")  # so that the journal starts empty


def upgrade_statements(version: int) -> Iterator[str]:
    """Yield the statements that lead from a format, 0 for an empty file, to the current one."""
    if version < schema.COUNTED_FORMAT:
        yield from _statements_of_counting(version)
    yield from schema.ADD_NEW_EVENTS


def _statements_of_counting(version: int) -> Iterator[str]:
    """Yield the statements that lead from a format, 0 for an empty file, to `COUNTED_FORMAT`."""
    has_sums = version >= schema.SUMS_FORMAT
    if version < 1:
        yield from schema.FIRST_FORMAT
    if version < 2:
        yield from schema.ADD_RECORDED_MS
    elif not has_sums:
        yield from schema.DROP_SUMS
    yield from schema.DROP_TRIGGERS if has_sums else schema.SUMS
    if version < schema.FACTS_FORMAT:
        yield schema.ADD_FACTS
    yield from schema.ADD_COUNTED
    if version >= schema.FACTS_FORMAT:
        yield from schema.SUM_ALL_SEGMENTS
    yield f"INSERT INTO counted {'SELECT ifnull(max(seq), 0) FROM event' if has_sums else 'VALUES (0)'}"


def _count_events(connection: sqlite3.Connection, progress: Progress) -> None:
    """Compute the sums of the events in the file."""
    (size,) = connection.execute("PRAGMA cache_size").fetchone()
    connection.execute(f"PRAGMA cache_size = {-_UPGRADE_CACHE_KB}")
    (total,) = connection.execute("SELECT count(*) FROM event").fetchone()
    done = 0
    progress(done, total)
    while counted := count_chunk(connection, _UPGRADE_ROWS):
        done += counted
        progress(min(done, total), total)
    now_ms = int(time.time() * 1000)
    connection.execute("UPDATE event SET recorded_ms = ? WHERE timestamp_ms > ?", (now_ms, now_ms))
    connection.execute(f"PRAGMA cache_size = {size}")


def _check_content(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute(_PROBE).fetchone()
    if path.stat().st_size > _CHECKED_BYTES:
        return
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise LedgerError(CORRUPT, f"the ledger {path} is damaged: {found}")


def _rename_damaged(path: Path, reason: str) -> Path:
    number = 1
    while (kept := path.with_name(f"ledger-{number}.corrupt")).exists():
        number += 1
    path.rename(kept)
    for companion in _COMPANIONS:  # under the names by which SQLite finds them
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{companion}").rename(f"{kept}{companion}")
    with contextlib.suppress(OSError):
        kept.with_name(f"{kept.name}.txt").write_text(f"{reason}\n", "utf-8")
    return kept


def _open_file(path: Path, mode: str, busy_timeout: float) -> sqlite3.Connection:
    uri = f"file:{quote(str(path.absolute()))}?{mode}"
    return sqlite3.connect(uri, uri=True, timeout=busy_timeout, isolation_level=None, check_same_thread=False)


def _snapshot(path: Path, mode: str, busy_timeout: float) -> sqlite3.Connection:
    connection = _open_file(path, mode, busy_timeout)
    connection.text_factory = _decode  # other programs can write to the file
    try:
        _check_format(connection, path)
        connection.execute("BEGIN")
        connection.execute(_PROBE).fetchone()  # the first read takes the snapshot
    except BaseException:
        connection.close()
        raise
    return connection


def _decode(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _has_journal(path: Path) -> bool:
    try:
        return Path(f"{path}-wal").stat().st_size > 0
    except FileNotFoundError:
        return False
