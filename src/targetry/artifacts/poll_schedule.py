"""When to ask again: poll intervals, retries, and what a refusal costs. Pure: the caller brings the random numbers.

Three paces, by what went wrong (RELIABILITY rules 2 and 3):

- `RETRY`  no answer, or one that may differ in a moment (408, 425, 429, 5xx). Exponential, full jitter; once the next
           step would be longer than the interval, the interval is kept. From 0.5 s to 300 s these are ten quick
           retries for an outage, however long it lasts.
- `POLL`   an answer that cannot be used. It is fetched again when the next poll is due, not earlier.
- `SLOW`   refused or sent elsewhere (3xx, 400, 401, 403, 404, …). Minutes, doubling to an hour; never for ever.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Final

from targetry._runtime.retry import exponential_s, full_jitter_s, lengthened_s, shortened_s

_PASSING_STATUSES: Final = frozenset({304, 408, 425, 429})  # of 3xx and 4xx, those that a moment may change
_FIRST_RETRY_S = 0.5
_WITHOUT_RULES_S = 60.0  # longest wait while there is nothing to decide by
_FIRST_SLOW_S = 60.0
_LONGEST_S = 3600.0
_JITTER = 0.1
_JITTER_WITHOUT_RULES = 0.5  # a fleet that was started together has no polls that have spread it


class Pace(enum.StrEnum):
    RETRY = "retry"
    POLL = "poll"
    SLOW = "slow"


def pace_of_status(status: int) -> Pace:
    """How a status other than 200 is met."""
    return Pace.SLOW if 300 <= status < 500 and status not in _PASSING_STATUSES else Pace.RETRY


class PollSchedule:
    """How long to wait after each attempt. `interval_s` 0 means: once there is success, do not ask again."""

    def __init__(self, interval_s: float, random: Callable[[], float]) -> None:
        self.interval_s = interval_s
        self._random = random
        self._retries = 0
        self._refusals = 0

    def after_success(self, *, first: bool = False) -> float | None:
        """Seconds to the next poll, or None for never.

        The one after the `first` success of a process may come anywhere in the interval, so that a fleet that was
        started together does not ask together.
        """
        self._retries = self._refusals = 0
        if not self.interval_s:
            return None
        return self.interval_s * self._random() if first else self._jittered(self.interval_s)

    def after_failure(self, pace: Pace, *, has_rules: bool, retry_after: float | None = None) -> float:
        """Seconds to the next attempt; there always is one, however the last ended."""
        ceiling = self.interval_s or _WITHOUT_RULES_S
        if not has_rules:
            ceiling = min(ceiling, _WITHOUT_RULES_S)
        delay = self._delay(pace, ceiling, has_rules)
        if retry_after is None:
            return delay
        return max(delay, lengthened_s(min(retry_after, _LONGEST_S), _JITTER, self._random()))

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
        return shortened_s(seconds, jitter, self._random())
