"""Circuit breaker: stops requests to a service that does not respond."""

from __future__ import annotations

from collections.abc import Callable

from targetry._runtime.retry import exponential_s, jitter_down_s

_FAILURES_TO_OPEN = 3
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_LONGEST_REQUESTED_S = 3600.0
_JITTER = 0.5


class CircuitBreaker:
    """Opens after three consecutive failures.

    While it is open, one attempt is allowed after one second; each failure doubles the pause up to
    a minute, or to what the service asks for. One success closes it. Not thread-safe: the owner
    locks.
    """

    def __init__(self, *, probe_s: float, clock: Callable[[], float], random: Callable[[], float]) -> None:
        """Create a closed circuit breaker.

        Args:
            probe_s: Maximum duration of one attempt in seconds.
            clock: Monotonic clock in seconds.
            random: Returns numbers from 0 to 1 for the jitter of pauses.
        """
        self._probe_s = probe_s
        self._clock = clock
        self._random = random
        self._failures = 0
        self._pauses = 0
        self._until = 0.0
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether requests are being stopped."""
        return self._failures >= _FAILURES_TO_OPEN

    def allows(self) -> bool:
        """Return whether an attempt is allowed now; the caller has to report its result."""
        if not self.is_open:
            return True
        now = self._clock()
        if now < self._until:
            return False
        self._probing = True
        self._until = now + self._probe_s
        return True

    def succeeded(self) -> None:
        """Report a success, which closes the circuit breaker."""
        self._failures = self._pauses = 0
        self._probing = False

    def failed(self, retry_after_s: float | None = None) -> bool:
        """Report a failure; return whether it began a pause.

        Of several attempts that fail in one pause only the first counts.
        """
        if self.is_open and not self._probing:
            return False
        self._failures += 1
        self._probing = False
        if not self.is_open:
            return False
        pause = exponential_s(_FIRST_PAUSE_S, _LONGEST_PAUSE_S, self._pauses)
        self._pauses += 1
        requested_s = min(retry_after_s or 0.0, _LONGEST_REQUESTED_S)
        self._until = self._clock() + max(jitter_down_s(pause, _JITTER, self._random()), requested_s)
        return True
