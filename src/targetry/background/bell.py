"""A wake-up call that can be given from anywhere: also from a signal handler, while the same thread is giving one.

`threading.Event` and `Condition` hold a lock of their own while they notify, which is what forbids that.
"""

from __future__ import annotations

import threading


class Bell:
    """Rung before or while somebody waits, it wakes one waiter. Several rings before that are one."""

    __slots__ = ("_silence",)

    def __init__(self) -> None:
        self._silence = threading.Lock()
        self._silence.acquire()

    def ring(self) -> None:
        """Never waits, never raises."""
        if self._silence.locked():
            try:
                self._silence.release()
            except RuntimeError:  # another thread rang at the same moment
                return

    def wait(self, seconds: float) -> bool:
        """Wait for a ring; whether there was one."""
        return self._silence.acquire(timeout=min(max(seconds, 0.0), threading.TIMEOUT_MAX))
