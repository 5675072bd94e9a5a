"""When the next call to the Delivery API may be made. Pure: the caller brings time and random numbers.

A call that fails waits before it is repeated: exponential, full jitter, capped. One failure says nothing of the others, so they
go on; but after a few in a row the endpoint is in doubt, and then the wait is everybody's and one call at a time goes out to
see. `Retry-After` is everybody's too, obeyed up to a cap. After 401, 403 and 404, which say that the configuration is wrong and not this one call, waits are minutes,
doubling to an hour, never for ever.

Retries are also paid for. There are ten tokens; a retry takes one, a success gives a tenth back, and so does each
tenth of a second: with few calls there would never be enough successes to pay for a retry that is due.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from targetry._runtime.retry import TokenBucket, exponential_s, full_jitter_s, lengthened_s, shortened_s

_DENIED_JITTER = 0.5
_RETRY_AFTER_JITTER = 0.1


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds. `suspect_after` failures in a row put the endpoint in doubt. A delivery is given up once it is older than `max_age_s`, or has failed `max_isolated_failures` times with
    another one getting through since its failure before: an outage is nobody's fault and isolated_failures nobody twice."""

    suspect_after: int = 3
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    longest_retry_after_s: float = 600.0
    first_denied_wait_s: float = 60.0
    longest_denied_wait_s: float = 3600.0
    budget: float = 10.0
    budget_per_success: float = 0.1
    budget_per_s: float = 1.0
    max_age_s: float = 86_400.0
    max_isolated_failures: int = 10


class RetryState:
    """Not thread-safe: it is used under the queue's lock. All times are of one monotonic clock."""

    def __init__(self, policy: RetryPolicy, random: Callable[[], float]) -> None:
        self.policy = policy
        self._random = random
        self._failures = 0  # in a row
        self._denials = 0
        self._resume_at = float("-inf")
        self._repeat_at = float("-inf")
        # the wait was asked for by the server, or is for its answer to a wrong configuration
        self._is_asked = False
        self._failed_at = float("-inf")
        self._budget = TokenBucket(
            policy.budget, per_success=policy.budget_per_success, per_s=policy.budget_per_s
        )

    @property
    def is_suspect(self) -> bool:
        """Whether the last news of the endpoint is bad enough to be of more than one call."""
        return self._failures >= self.policy.suspect_after or bool(self._denials)

    def wait(self, now: float) -> float:
        """Seconds until any call may be made."""
        return max(0.0, self._resume_at - now)

    def wait_for_retry(self, now: float) -> float:
        """Seconds until a failed call may be repeated and the budget pays for it, if nothing succeeds meanwhile."""
        return max(self._budget.wait_s(now), self._repeat_at - now)

    def spend_retry(self, now: float) -> None:
        self._budget.refill(now)
        self._budget.spend()

    def succeeded(self, started: float) -> None:
        """A call that began at `started` went through."""
        self._budget.earn()
        if started < self._failed_at:
            return  # older than the bad news
        self._failures = self._denials = 0
        self._resume_at = float("-inf")

    def failed(self, started: float, now: float, retry_after_s: float | None = None) -> None:
        """It failed, in a way that a repetition may not. `retry_after_s`: seconds that the server asked for."""
        if started >= self._failed_at:  # else it is the same outage, met by several calls at once
            policy = self.policy
            bound = exponential_s(policy.first_wait_s, policy.longest_wait_s, self._failures)
            wait = full_jitter_s(bound, self._random())
            self._failures += 1
            self._failed_at = now
            self._repeat_at = now + wait
            if self.is_suspect:
                self._pause(now, wait)
        if retry_after_s is not None:
            asked = min(retry_after_s, self.policy.longest_retry_after_s)
            self._pause(now, lengthened_s(asked, _RETRY_AFTER_JITTER, self._random()), is_asked=True)

    def denied(self, started: float, now: float) -> None:
        """The API does not know us, or not there."""
        if started < self._failed_at:
            return
        policy = self.policy
        bound = exponential_s(policy.first_denied_wait_s, policy.longest_denied_wait_s, self._denials)
        self._denials += 1
        self._pause(now, shortened_s(bound, _DENIED_JITTER, self._random()), is_asked=True)

    def skip_backoff(self) -> None:
        """Wait no more, unless it was the server that asked for it."""
        if not self._is_asked:
            self._resume_at = self._repeat_at = float("-inf")

    def _pause(self, now: float, seconds: float, *, is_asked: bool = False) -> None:
        self._failed_at = now
        if now >= self._resume_at:
            self._is_asked = False
        self._is_asked = self._is_asked or is_asked
        self._resume_at = max(self._resume_at, now + seconds)
