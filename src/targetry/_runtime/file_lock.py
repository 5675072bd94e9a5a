"""The right of one process to a file: a lock that the system takes back when the process ends, however it ends.

The lock is on an open file, not on a process, so two claims exclude each other also within one process. A forked child
inherits the open file and with it a share in the lock; it gives that up at once, which leaves the parent's as it is.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from targetry._runtime.files import open_private
from targetry._runtime.forks import call_in_children

if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError(*error.args) from error
else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


# Open lock files of this process. It is the module's, since so is the handler at the end.
_open_files: set[int] = set()


class FileLock:
    """Holds `path`, a lock file, which is made if need be (mode 0600)."""

    def __init__(self, path: Path) -> None:
        """Raise `BlockingIOError` if another claim holds it, another `OSError` if the file cannot be made or trusted."""
        self.path = path
        self._file = open_private(path, os.O_RDWR | os.O_CREAT)
        _open_files.add(self._file)
        try:
            _lock(self._file)
            if os.fstat(self._file).st_nlink == 0:  # its owner has just removed it, and so ended it
                raise FileNotFoundError(path)
        except OSError:
            self.release()
            raise

    def release(self) -> None:
        """Let somebody else have it. May be called twice."""
        file, self._file = self._file, -1
        if file >= 0:
            _open_files.discard(file)
            os.close(file)

    def remove(self) -> None:
        """Release it and remove the lock file: what it was for is no more."""
        if sys.platform != "win32":  # first, so that nobody can lock the file that is about to vanish
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
