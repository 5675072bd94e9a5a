"""One try at one request: until when it may last, and how far it came.

Timeouts of HTTP libraries bound single reads, so a server that sends a byte now and then holds its caller for ever.
Ours bound the whole: httpcore2 hands the timeouts of a request through to the socket layer unread, and we give
it an `Attempt` in their place. It belongs to the request, not to a thread or task, and the sockets ask it before each wait.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from targetry.http.pool import Socket

_LONGEST_WAIT = 1e6  # seconds; what select() and friends take on every platform
_LOOP_SHARE_S: Final = 0.003  # how long an event loop is kept before other tasks get their turn


def deadline_after(timeout: float) -> float:
    """The point on the monotonic clock that is `timeout` seconds away."""
    return time.monotonic() + min(timeout, _LONGEST_WAIT)


def time_left(ends_at: float) -> float:
    """Seconds, more than 0; raises `TimeoutError` when there are none."""
    left = ends_at - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class Attempt(float):
    """A `float` only because that is what httpcore2's signatures say of timeouts."""

    __slots__ = ("_yielded_at", "doing", "ends_at", "heard", "opened")

    ends_at: float
    doing: str  # "connecting to …", for the error's text
    heard: bool  # something of the answer has arrived
    _yielded_at: float
    opened: Socket | None  # the socket, when a new connection was made for it

    def __new__(cls, ends_at: float) -> Attempt:
        self = super().__new__(cls, ends_at)
        self.ends_at = ends_at
        self.doing = "waiting for a free connection"
        self.heard = False
        self.opened = None
        self._yielded_at = time.monotonic()
        return self

    def left(self) -> float:
        """Seconds until the deadline; raises `TimeoutError` when it has passed."""
        return time_left(self.ends_at)

    def is_over(self) -> bool:
        return time.monotonic() >= self.ends_at

    def should_yield(self) -> bool:
        """Return whether other tasks of the event loop are due; the caller lets them run if so.

        Raises `TimeoutError` when the deadline has passed: data that is there already is read without waiting, so
        the loop alone does not notice.
        """
        now = time.monotonic()
        if now >= self.ends_at:
            raise TimeoutError
        if now - self._yielded_at < _LOOP_SHARE_S:
            return False
        self._yielded_at = now
        return True

    @property
    def timeouts(self) -> dict[str, Attempt]:
        """What httpcore2 looks for under `timeout` in the extensions of a request."""
        return {"connect": self, "read": self, "write": self, "pool": self}


def attempt_of(timeout: float | None) -> Attempt:
    """What httpcore2 handed through."""
    return cast(Attempt, timeout)
