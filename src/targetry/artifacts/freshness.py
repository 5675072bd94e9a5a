"""Age and staleness of the rules in use, on the monotonic clock."""

from __future__ import annotations

import math
from collections.abc import Callable

_STALE_AFTER_INTERVALS = 2


class Freshness:
    """Staleness of rules.

    Rules are stale when their source last confirmed them more than two polling intervals ago, or
    when they come from disk and are not confirmed yet. With `interval_s` 0, without polling, only
    the latter applies.
    """

    def __init__(self, interval_s: float, clock: Callable[[], float]) -> None:
        self._interval_s = interval_s
        self._clock = clock
        self._since: float | None = None
        self._age_then = 0.0
        self.stale_at = math.inf
        """Time on the clock at which the rules become stale; computed in advance for decisions."""
        self.confirmed = False

    def confirm(self) -> None:
        """Record that the source confirmed the rules as the latest."""
        now = self._clock()
        self._since, self._age_then, self.confirmed = now, 0.0, True
        self.stale_at = now + (self._interval_s * _STALE_AFTER_INTERVALS or math.inf)

    def read_from_disk(self, age_s: float) -> None:
        """Record that the rules were read from disk and were saved `age_s` seconds ago."""
        self._since, self._age_then, self.confirmed = self._clock(), max(0.0, age_s), False
        self.stale_at = -math.inf

    @property
    def age_s(self) -> float | None:
        """Seconds since the rules were last confirmed as the latest; None without rules."""
        if self._since is None:
            return None
        return self._clock() - self._since + self._age_then

    @property
    def overdue(self) -> bool:
        """Whether a poll is due by now."""
        age = self.age_s
        return age is None or not self.confirmed or 0 < self._interval_s <= age

    @property
    def stale(self) -> bool:
        """Whether the rules are stale now."""
        return self.stale_at < self._clock()
