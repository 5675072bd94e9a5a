"""Stops asking a service that does not answer, so that its silence is not paid for by every caller."""

from __future__ import annotations

from collections.abc import Callable

from targetry._runtime.retry import exponential_s, shortened_s

_FAILURES_TO_OPEN = 3
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_LONGEST_ASKED_S = 3600.0
_JITTER = 0.5


class CircuitBreaker:
    """After three failures in a row nothing is let through for a second; then one attempt, and if that fails too, for
    twice as long, up to a minute, or as long as the service asks. One success ends it. Not locked: the owner does that."""

    def __init__(self, *, probe_s: float, clock: Callable[[], float], random: Callable[[], float]) -> None:
        """`probe_s`: how long one attempt takes at most."""
        self._probe_s = probe_s
        self._clock = clock
        self._random = random
        self._failures = 0
        self._pauses = 0
        self._until = 0.0
        self._probing = False

    @property
    def is_open(self) -> bool:
        return self._failures >= _FAILURES_TO_OPEN

    def allows(self) -> bool:
        """Whether to make an attempt now. Its end is to be reported."""
        if not self.is_open:
            return True
        now = self._clock()
        if now < self._until:
            return False
        self._probing = True
        self._until = now + self._probe_s
        return True

    def succeeded(self) -> None:
        self._failures = self._pauses = 0
        self._probing = False

    def failed(self, retry_after_s: float | None = None) -> bool:
        """Report a failure; whether it began a pause. Of attempts that ended in the same pause only the first counts."""
        if self.is_open and not self._probing:
            return False
        self._failures += 1
        self._probing = False
        if not self.is_open:
            return False
        pause = exponential_s(_FIRST_PAUSE_S, _LONGEST_PAUSE_S, self._pauses)
        self._pauses += 1
        asked = min(retry_after_s or 0.0, _LONGEST_ASKED_S)
        self._until = self._clock() + max(shortened_s(pause, _JITTER, self._random()), asked)
        return True
