"""Poll schedule: intervals, retries and pauses after errors, without clock and random numbers.

The pace depends on the kind of failure:

- `RETRY`: no response, or a status that can change in a moment (408, 425, 429, 5xx). Exponential
  backoff with full jitter; once the next step would exceed the interval, the interval is used. From
  0.5 s to 300 s these are ten quick retries per outage.
- `POLL`: an artifact that cannot be used. It is requested again at the next poll.
- `SLOW`: refused or redirected (3xx, 400, 401, 403, 404, …). Minutes, doubling up to an hour.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Final

from targetry._runtime.retry import exponential_s, full_jitter_s, jitter_down_s, jitter_up_s

_TRANSIENT_STATUSES: Final = frozenset({304, 408, 425, 429})  # 3xx and 4xx that can change in a moment
_FIRST_RETRY_S = 0.5
_WITHOUT_RULES_S = 60.0  # longest delay without rules
_FIRST_SLOW_S = 60.0
_LONGEST_S = 3600.0
_JITTER = 0.1
_JITTER_WITHOUT_RULES = 0.5  # processes that started together are not spread yet


class Pace(enum.StrEnum):
    """Pace of attempts after a failure."""

    RETRY = "retry"
    POLL = "poll"
    SLOW = "slow"


def pace_of_status(status: int) -> Pace:
    """Return the pace after a status other than 200."""
    return Pace.SLOW if 300 <= status < 500 and status not in _TRANSIENT_STATUSES else Pace.RETRY


class PollSchedule:
    """Delays between attempts; with `interval_s` 0 there is none after the first success."""

    def __init__(self, interval_s: float, random: Callable[[], float]) -> None:
        self.interval_s = interval_s
        self._random = random
        self._retries = 0
        self._refusals = 0

    def after_success(self, *, first: bool = False) -> float | None:
        """Return the seconds until the next poll, None for no further poll.

        Args:
            first: Whether it is the first success of the process. The next poll then comes anywhere
                in the interval, so that processes that started together do not poll together.
        """
        self._retries = self._refusals = 0
        if not self.interval_s:
            return None
        return self.interval_s * self._random() if first else self._jittered(self.interval_s)

    def after_failure(self, pace: Pace, *, has_rules: bool, retry_after: float | None = None) -> float:
        """Return the seconds until the next attempt; there always is one.

        Args:
            pace: The pace for the kind of failure.
            has_rules: Whether there are rules to decide with.
            retry_after: The `Retry-After` of the response in seconds.
        """
        ceiling = self.interval_s or _WITHOUT_RULES_S
        if not has_rules:
            ceiling = min(ceiling, _WITHOUT_RULES_S)
        delay = self._delay(pace, ceiling, has_rules)
        if retry_after is None:
            return delay
        return max(delay, jitter_up_s(min(retry_after, _LONGEST_S), _JITTER, self._random()))

    def _delay(self, pace: Pace, ceiling: float, has_rules: bool) -> float:
        if pace is Pace.SLOW:
            bound = exponential_s(max(ceiling, _FIRST_SLOW_S), max(ceiling, _LONGEST_S), self._refusals)
            self._refusals += 1
            return self._jittered(bound)
        if pace is Pace.POLL:
            return self._jittered(ceiling)
        step = exponential_s(_FIRST_RETRY_S, ceiling, self._retries)
        self._retries += 1
        if step < ceiling:
            return full_jitter_s(step, self._random())
        return self._jittered(ceiling, _JITTER if has_rules else _JITTER_WITHOUT_RULES)

    def _jittered(self, seconds: float, jitter: float = _JITTER) -> float:
        return jitter_down_s(seconds, jitter, self._random())
