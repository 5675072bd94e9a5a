"""Detection of ledger files that are removed, replaced or truncated while they are open.

SQLite keeps writing to a file that has been unlinked, and to a journal that another process has
truncated. A commit is therefore acknowledged only if the paths still lead to the open files. The
checks run under the write lock, so no other process of the ledger changes the size of a file.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from targetry.ledger.errors import CORRUPT, REMOVED, LedgerError

JOURNAL_BYTES: Final = 64 * 1024 * 1024
"""Size to which SQLite truncates a larger journal."""

_JOURNAL: Final = "-wal"
_JOURNAL_MAGIC: Final = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")


class FileGuard:
    """Compares the files on the paths of a database and its journal with the opened ones."""

    def __init__(self, path: Path, check_content: Callable[[Path], None]) -> None:
        """Record the files of a database in WAL mode that has just been opened and read.

        `check_content` opens the file again and raises `sqlite3.Error` or `LedgerError` if its
        content is damaged.
        """
        self._path = path
        self._check_content = check_content
        self._database = _status(path)
        self._journal = Path(f"{path}{_JOURNAL}")
        companions = (self._journal, Path(f"{path}-shm"))
        self._companions = {companion: _status(companion) for companion in companions}
        self._open_journal = _open(self._journal)

    def check(self, *, has_written: bool = False) -> None:
        """Check that each file is the one that was opened, and that none was truncated.

        Args:
            has_written: Whether this process has written since the last check, which can have
                extended a truncated journal.

        Raises:
            LedgerError: The database was replaced (reason `REMOVED`), or its content or its journal
                is damaged (`CORRUPT`).
        """
        now = _status(self._path)
        if now is None or self._database is None or not os.path.samestat(now, self._database):
            raise LedgerError(
                REMOVED, f"the ledger {self._path}: its file was removed or replaced while in use"
            )
        if now.st_size < self._database.st_size:
            self._check_shrunk()
        self._database = now
        for path in self._companions:
            self._check_companion(path)
        if has_written and self._companions[self._journal] is not None and not self._has_journal_header():
            raise _truncated(self._journal)

    def remove_companions(self) -> None:
        """Delete the journal of a removed database: SQLite would apply it to a new database."""
        for path, known in self._companions.items():
            now = _status(path)
            if now is not None and known is not None and os.path.samestat(now, known):
                with contextlib.suppress(OSError):
                    path.unlink()

    def close(self) -> None:
        """Close the journal, before SQLite deletes it. Idempotent."""
        file, self._open_journal = self._open_journal, None
        if file is not None:
            os.close(file)

    def _check_shrunk(self) -> None:
        """Check the content of a smaller file, as other processes can have freed pages."""
        try:
            self._check_content(self._path)
        except (sqlite3.Error, LedgerError) as error:
            raise LedgerError(
                CORRUPT, f"the ledger {self._path}: its file was truncated while in use ({error})"
            ) from error

    def _check_companion(self, path: Path) -> None:
        known = self._companions[path]
        if known is None:  # SQLite uses no shared memory on this file system
            return
        now = _status(path)
        if now is None or not os.path.samestat(now, known):
            raise LedgerError(CORRUPT, f"the ledger {path}: the file was removed or replaced while in use")
        if path is self._journal and now.st_size < min(known.st_size, JOURNAL_BYTES):
            raise _truncated(path)
        self._companions[path] = now

    def _has_journal_header(self) -> bool:
        """Return whether the journal is empty or starts with its header.

        A journal that was truncated and is written again starts with a hole.
        """
        if self._open_journal is None:
            return False
        try:
            return _read_start(self._open_journal, len(_JOURNAL_MAGIC[0])) in (b"", *_JOURNAL_MAGIC)
        except OSError:
            return False


def _status(path: Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None


def _read_start(file: int, length: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(file, length, 0)
    os.lseek(file, 0, os.SEEK_SET)  # on Windows
    return os.read(file, length)


def _truncated(path: Path) -> LedgerError:
    return LedgerError(CORRUPT, f"the ledger {path}: the file was truncated while in use")


def _open(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY)
    except OSError:
        return None
