"""Retry policy and retry state of a host. Pure: the caller brings time and random numbers.

A failed call waits before it is repeated: exponential backoff with full jitter and a maximum. One
failure says nothing of other calls, which continue. After a few failures in a row the host is
suspect: then all calls wait, and one at a time probes the host. `Retry-After` holds for all calls,
up to a maximum. After 401, 403 and 404, which mean a wrong configuration and not one wrong call,
the waits are minutes and double up to an hour.

Retries are paid from a budget of ten tokens. A success brings a tenth of a token back, and so does
each tenth of a second: with few calls, successes would never pay for a retry that is due.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from targetry._runtime.retry import TokenBucket, exponential_s, full_jitter_s, jitter_down_s, jitter_up_s

_DENIED_JITTER = 0.5
_RETRY_AFTER_JITTER = 0.1


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Retry policy of a host. Times are in seconds.

    Attributes:
        suspect_after: Failures in a row after which the host is suspect.
        first_wait_s: Bound of the wait after the first failure.
        longest_wait_s: Bound of the wait after many failures.
        longest_retry_after_s: Longest `Retry-After` that is obeyed.
        first_denied_wait_s: Wait after the first 401, 403 or 404.
        longest_denied_wait_s: Wait after many of them.
        budget: Retries without a success.
        budget_per_success: Retries that a success adds.
        budget_per_s: Retries that a second adds.
        max_age_s: Age at which a delivery is dropped as `expired`.
        max_isolated_failures: Failures after which a delivery is dropped. A failure counts only if
            another delivery has succeeded since the one before, so that an outage counts once.
    """

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
    """Retry state of a host. Not thread-safe: the queue's lock is held. All times are monotonic."""

    def __init__(self, policy: RetryPolicy, random: Callable[[], float]) -> None:
        self.policy = policy
        self._random = random
        self._failures = 0  # in a row
        self._denials = 0
        self._resume_at = float("-inf")
        self._repeat_at = float("-inf")
        # End of a wait that a server asked for, or that follows a 401, 403 or 404.
        self._asked_until = float("-inf")
        self._failed_at = float("-inf")
        self._budget = TokenBucket(
            policy.budget, per_success=policy.budget_per_success, per_s=policy.budget_per_s
        )

    @property
    def is_suspect(self) -> bool:
        """Whether the last failures concern the host and not one call."""
        return self._failures >= self.policy.suspect_after or bool(self._denials)

    def wait(self, now: float) -> float:
        """Return the seconds until any call is allowed."""
        return max(0.0, self._resume_at - now)

    def wait_for_retry(self, now: float) -> float:
        """Return the seconds until a retry is allowed and paid for, if nothing succeeds before."""
        return max(self._budget.wait_s(now), self._repeat_at - now)

    def spend_retry(self, now: float) -> None:
        """Take the token for a retry from the budget."""
        self._budget.refill(now)
        self._budget.spend()

    def succeeded(self, started: float) -> None:
        """Record the success of a call that began at `started`."""
        self._budget.earn()
        if started < self._failed_at:
            return  # the failure is newer
        self._failures = self._denials = 0
        self._resume_at = self._asked_until = float("-inf")

    def failed(self, started: float, now: float, retry_after_s: float | None = None) -> None:
        """Record a failure that may pass; `retry_after_s` is the wait that the server asks for."""
        if started >= self._failed_at:  # else several calls fail in one outage
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
            self._pause(now, jitter_up_s(asked, _RETRY_AFTER_JITTER, self._random()), is_asked=True)

    def denied(self, started: float, now: float) -> None:
        """Record a 401, 403 or 404."""
        if started < self._failed_at:
            return
        policy = self.policy
        bound = exponential_s(policy.first_denied_wait_s, policy.longest_denied_wait_s, self._denials)
        self._denials += 1
        self._pause(now, jitter_down_s(bound, _DENIED_JITTER, self._random()), is_asked=True)

    def skip_backoff(self) -> None:
        """End the wait, but for what a server asked for."""
        self._resume_at = self._asked_until
        self._repeat_at = float("-inf")

    def _pause(self, now: float, seconds: float, *, is_asked: bool = False) -> None:
        self._failed_at = now
        self._resume_at = max(self._resume_at, now + seconds)
        if is_asked:
            self._asked_until = max(self._asked_until, now + seconds)
