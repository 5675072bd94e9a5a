"""Deadline of one HTTP request, and the progress that its error message reports.

Timeouts of HTTP libraries bound single reads, so a server that sends one byte now and then blocks a
caller without end. A `Deadline` bounds the whole request. httpcore2 passes the timeouts of a
request to the socket layer unread, so a `Deadline` takes their place; the sockets consult it before
each wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from targetry.http.pool import Droppable

_LONGEST_WAIT_S: Final = 1e6  # select() and its relatives accept this on every platform
_LOOP_SHARE_S: Final = 0.003  # how long one task keeps the event loop before other tasks run


def deadline_after(timeout_s: float) -> float:
    """Return the reading of the monotonic clock `timeout_s` seconds from now."""
    return time.monotonic() + min(timeout_s, _LONGEST_WAIT_S)


class Deadline(float):
    """One attempt at a request: when it ends, and how far it has come.

    A `float` only because httpcore2 declares timeouts as such.
    """

    __slots__ = ("_yielded_at", "ends_at", "has_received", "note_progress", "opened", "phase")

    ends_at: float  # monotonic clock, seconds
    phase: str  # "connecting to …", for the text of an error
    has_received: bool  # whether bytes of the response have arrived
    opened: Droppable | None  # the connection opened for this attempt, if it did not reuse one
    note_progress: Callable[[], object] | None  # called before the deadline ends a task; sets `phase`
    _yielded_at: float

    def __new__(cls, ends_at: float) -> Deadline:
        self = super().__new__(cls, ends_at)
        self.ends_at = ends_at
        self.phase = "waiting for a free connection"
        self.has_received = False
        self.opened = None
        self.note_progress = None
        self._yielded_at = time.monotonic()
        return self

    def left(self) -> float:
        """Return the seconds until the deadline. Raises `TimeoutError` when it has passed."""
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def is_over(self) -> bool:
        return time.monotonic() >= self.ends_at

    def should_yield(self) -> bool:
        """Return whether it is time to let other tasks of the event loop run.

        Raises `TimeoutError` when the deadline has passed: data that is available already is read
        without waiting, so the event loop's own timers do not run meanwhile.
        """
        now = time.monotonic()
        if now >= self.ends_at:
            raise TimeoutError
        if now - self._yielded_at < _LOOP_SHARE_S:
            return False
        self._yielded_at = now
        return True

    @property
    def timeouts(self) -> dict[str, Deadline]:
        """Return the `timeout` extension of a request for httpcore2."""
        return {"connect": self, "read": self, "write": self, "pool": self}


def deadline_of(timeout: float | None) -> Deadline:
    """Return the `Deadline` that httpcore2 passed on as a timeout."""
    return cast(Deadline, timeout)
