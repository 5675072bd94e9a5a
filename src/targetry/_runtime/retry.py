"""Retry timing: exponential backoff, jitter, token bucket, and the `Retry-After` header.

Everything here is pure: the caller brings the clock and the random numbers, which are in [0, 1).
"""

from __future__ import annotations

from targetry._runtime.lazy_import import importing

_MAX_DOUBLINGS = 20
_MAX_DIGITS = 9  # of a number of seconds, which is then below 32 years
_ROUNDING = 1e-9


def exponential_s(first_s: float, longest_s: float, attempt: int) -> float:
    """Return `first_s` doubled `attempt` times, at most `longest_s`; attempts count from 0."""
    doublings = min(max(attempt, 0), _MAX_DOUBLINGS)
    return float(min(first_s * 2**doublings, longest_s))


def full_jitter_s(bound_s: float, random: float) -> float:
    """Return a wait between 0 and `bound_s`, so that clients do not return together."""
    return bound_s * random


def jitter_down_s(wait_s: float, share: float, random: float) -> float:
    """Return `wait_s` less up to `share` of it."""
    return wait_s * (1 - share * random)


def jitter_up_s(wait_s: float, share: float, random: float) -> float:
    """Return `wait_s` and up to `share` of it more, so that clients do not return together."""
    return wait_s * (1 + share * random)


class TokenBucket:
    """Budget of retries: one costs a token; successes and, with `per_s`, time bring some back.

    There is no lock. Where threads share a bucket, a race moves it by one `per_success`.
    """

    __slots__ = ("_capacity", "_counted_at", "_per_s", "_per_success", "tokens")

    def __init__(self, capacity: float, *, per_success: float, per_s: float = 0.0) -> None:
        self.tokens = capacity
        self._capacity = capacity
        self._per_success = per_success
        self._per_s = per_s
        self._counted_at: float | None = None

    def earn(self) -> None:
        """Add what a success brings."""
        if self.tokens < self._capacity:
            self.tokens = min(self._capacity, self.tokens + self._per_success)

    def refill(self, now: float) -> None:
        """Add what the time since the last call brings. `now` is in seconds, monotonic."""
        if self._counted_at is not None:
            self.tokens = min(self._capacity, self.tokens + (now - self._counted_at) * self._per_s)
        self._counted_at = now

    def spend(self) -> bool:
        """Take a token. Return whether there was one."""
        if self.tokens < 1 - _ROUNDING:
            return False
        self.tokens = max(0.0, self.tokens - 1)
        return True

    def wait_s(self, now: float) -> float:
        """Return the seconds until there is a token without a success; only with `per_s`."""
        self.refill(now)
        missing = 1 - self.tokens
        return missing / self._per_s if missing > _ROUNDING else 0.0


def retry_after_s(value: str | None, now: float | None = None) -> float | None:
    """Return the seconds that a `Retry-After` header asks for, None if it is unreadable.

    The value is a number of seconds (RFC 9110, section 10.2.3) or a date, which is read only with
    `now`, the wall clock in epoch seconds. A date in the past gives 0.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:_MAX_DIGITS])
    moment = None if now is None else http_date(text)
    return None if moment is None or now is None else max(0.0, moment - now)


def http_date(value: str | None) -> float | None:
    """Return the date of a header in epoch seconds, None if it is not a date."""
    if value is None:
        return None
    with importing():  # the import is slow, and dates are rare
        import email.utils

    try:
        return email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
