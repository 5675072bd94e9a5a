"""Limit of the wait for a server of PostgreSQL that no longer answers."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Any, Final

from targetry._runtime.periodic_task import PeriodicTask

_CHECK_EVERY_S: Final = 1.0


class AnswerLimit:
    """Ends the wait for a server that is stopped, or is behind a proxy that hangs.

    The system sees no fault there, so neither its own limits nor those of the server help.

    Attributes:
        timeout_s: Longest time of a write, in seconds.
        has_expired: Whether the connection was ended in the current write.
    """

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self.has_expired = False
        self._deadline_s: float | None = None
        self._socket: socket.socket | None = None
        self._every_s = min(_CHECK_EVERY_S, timeout_s)
        self._task = PeriodicTask("targetry-ledger-watch", self._check)

    def watch(self, connection: Any) -> None:
        """Apply the limit to a new connection, whose opening has a limit of its own."""
        self._socket = socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM)
        self.start()

    def start(self) -> None:
        """Start the time of a write."""
        self.has_expired = False
        self._deadline_s = time.monotonic() + self.timeout_s
        if not self._task.running:
            self._task.schedule(self._every_s)

    def end(self) -> None:
        """End the time of a write."""
        self._deadline_s = None

    def release(self) -> None:
        """Leave the connection, which is closed."""
        taken, self._socket = self._socket, None
        if taken is not None:
            taken.close()

    def _check(self) -> float | None:
        watched, deadline_s = self._socket, self._deadline_s
        if deadline_s is not None and time.monotonic() >= deadline_s and watched is not None:
            self.has_expired = True
            with contextlib.suppress(OSError):
                watched.shutdown(socket.SHUT_RDWR)
        return None if watched is None and deadline_s is None else self._every_s
