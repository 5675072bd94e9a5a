"""How old the rules in use are, and whether that is too old. On the monotonic clock: a clock set back or forth does not
make rules fresh or stale (RELIABILITY F11)."""

from __future__ import annotations

import math
from collections.abc import Callable

_STALE_AFTER_INTERVALS = 2


class Freshness:
    """Rules are stale when their source last vouched for them more than two polling intervals ago, or, read from
    disk, not yet. With `interval_s` 0 nobody asks again, and only the second applies."""

    def __init__(self, interval_s: float, clock: Callable[[], float]) -> None:
        self._interval_s = interval_s
        self._clock = clock
        self._since: float | None = None
        self._age_then = 0.0
        self.stale_at = math.inf
        """When the rules become stale, on the clock: asked on every decision, so it is kept ready."""
        self.confirmed = False

    def confirm(self) -> None:
        """The source says that these rules are the latest."""
        now = self._clock()
        self._since, self._age_then, self.confirmed = now, 0.0, True
        self.stale_at = now + (self._interval_s * _STALE_AFTER_INTERVALS or math.inf)

    def read_from_disk(self, age_s: float) -> None:
        """The rules were saved `age_s` seconds ago, and nobody has been asked since."""
        self._since, self._age_then, self.confirmed = self._clock(), max(0.0, age_s), False
        self.stale_at = -math.inf

    @property
    def age_s(self) -> float | None:
        """Seconds since the rules were known to be the latest; None while there are none."""
        if self._since is None:
            return None
        return self._clock() - self._since + self._age_then

    @property
    def overdue(self) -> bool:
        """Whether a poll should have come by now."""
        age = self.age_s
        return age is None or not self.confirmed or 0 < self._interval_s <= age

    @property
    def stale(self) -> bool:
        return self.stale_at < self._clock()
