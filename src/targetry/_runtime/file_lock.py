"""File lock of one process, which the system releases when the process ends.

The lock belongs to an open file and not to a process, so that two locks exclude each other also
within one process. A forked child inherits the open file and with it the lock; it closes the file
at once, which does not release the parent's lock.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Final

from targetry._runtime.files import open_private
from targetry._runtime.forks import call_in_children

if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError(*error.args) from error

    def _unlock(file: int) -> None:
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)


LOCK_IS_HELD: Final = (BlockingIOError, FileNotFoundError) + (
    (PermissionError,) if sys.platform == "win32" else ()
)
"""Errors of `FileLock` if another process holds the lock, or has just removed its file."""

# Open lock files of this process, for the fork handler below.
_open_files: set[int] = set()


class FileLock:
    """Lock on the file `path`, which is created if it does not exist (mode 0600)."""

    def __init__(self, path: Path) -> None:
        """Acquire the lock without waiting.

        Raises:
            BlockingIOError: If it is held.
            OSError: If the file cannot be created, or another user may have written it.
        """
        self.path = path
        self._file = open_private(path, os.O_RDWR | os.O_CREAT)
        _open_files.add(self._file)
        try:
            self.lock()
        except OSError:
            self.release()
            raise

    def lock(self) -> None:
        """Acquire the lock again after `unlock`, without waiting.

        Raises:
            BlockingIOError: If it is held.
            FileNotFoundError: If the file was removed.
        """
        _lock(self._file)
        if os.fstat(self._file).st_nlink == 0:
            raise FileNotFoundError(self.path)

    def unlock(self) -> None:
        """Release the lock, but keep the file open for `lock`."""
        _unlock(self._file)

    def release(self) -> None:
        """Release the lock. Can be called twice."""
        file, self._file = self._file, -1
        if file >= 0:
            _open_files.discard(file)
            os.close(file)

    def remove(self) -> None:
        """Release the lock and remove its file."""
        if sys.platform != "win32":  # first, so that no process can lock a file that vanishes
            self._unlink()
        self.release()
        if sys.platform == "win32":
            self._unlink()

    def _unlink(self) -> None:
        with contextlib.suppress(OSError):
            self.path.unlink()


def _in_child() -> None:
    for file in _open_files:
        with contextlib.suppress(OSError):
            os.close(file)
    _open_files.clear()


call_in_children(_in_child)
