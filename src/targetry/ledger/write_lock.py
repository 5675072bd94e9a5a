"""Whose turn it is to write, among processes that share a ledger.

SQLite lets one write at a time, and has the others look again after pauses of up to a tenth of a second: whoever has much to write
takes all the turns, and the others wait for seconds. Here, whoever has had a turn queues behind the one that waits: there
are two locks, and nobody gets the second but through the first. The system lets go of both when their process dies.

A turn that cannot be queued for, as on a disk that is full, is taken without: SQLite then decides, and knows the error.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from targetry.ledger.errors import LOCKED, LedgerError

if sys.platform != "win32":
    import fcntl

_QUEUE_NAME: Final = "ledger.queue"
_TURN_NAME: Final = "ledger.turn"
_PAUSE_S: Final = 0.0003  # beside a commit of a millisecond or two


class Turns:
    """Of one ledger; `timeout`: seconds that others may keep it waiting."""

    def __init__(self, folder: Path, timeout: float) -> None:
        self._folder = folder
        self._timeout = timeout

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Have one. Raises `LedgerError` (`locked`)."""
        with contextlib.ExitStack() as held:
            if sys.platform != "win32":
                deadline = time.monotonic() + self._timeout
                with contextlib.ExitStack() as queued:
                    self._lock(queued, _QUEUE_NAME, deadline)
                    self._lock(held, _TURN_NAME, deadline)
            yield

    def tidy(self) -> None:
        """Leave no files. Who has one open that is gone may meet somebody with a new one, and SQLite keeps them apart."""
        for name in (_QUEUE_NAME, _TURN_NAME):
            with contextlib.suppress(OSError):
                (self._folder / name).unlink()

    def _lock(self, until: contextlib.ExitStack, name: str, deadline: float) -> None:
        """Opened for each turn, so that no process that is forked meanwhile has it for longer."""
        path = self._folder / name
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            return
        until.callback(os.close, file)
        while not _is_locked(file):
            if time.monotonic() >= deadline:
                raise LedgerError(LOCKED, f"the ledger in {self._folder}: others keep {path.name} locked")
            time.sleep(_PAUSE_S)


def _is_locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
