"""Retry decision for a Delivery API call.

A call is repeated only if it was certainly not processed: there was no connection, or a gateway
reports that the service is not reachable. Retries are few, within the caller's deadline, and
limited by a token bucket that successes refill, so that a failing service gets few more calls.
"""

from __future__ import annotations

from typing import Final

from targetry._runtime.retry import TokenBucket, exponential_s, full_jitter_s, retry_after_s
from targetry.errors import ApiException, DeadlineError

MAX_RETRIES: Final = 2

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 0.2
_MIN_ATTEMPT_S = 0.05  # a shorter attempt would only hide the error of the one before
_STATUSES = frozenset({502, 503, 504})


def retry_budget() -> TokenBucket:
    """Return a full budget: ten retries, and one more for every ten successes."""
    return TokenBucket(10.0, per_success=0.1)


def pause_s(error: ApiException, failures: int, left_s: float, random: float) -> float | None:
    """Return the seconds to wait before the next attempt, or None if there must not be one.

    Args:
        error: The error of the last attempt. A `Retry-After` in seconds replaces the backoff.
        failures: How many attempts have failed, at least 1.
        left_s: Seconds that are left of the call's time.
        random: A number in [0, 1).
    """
    if failures > MAX_RETRIES or isinstance(error, DeadlineError) or not was_unreachable(error):
        return None
    pause = retry_after_s((error.headers or {}).get("retry-after"))
    if pause is None:
        pause = full_jitter_s(exponential_s(_FIRST_PAUSE_S, _LONGEST_PAUSE_S, failures - 1), random)
    return pause if pause + _MIN_ATTEMPT_S <= left_s else None


def was_unreachable(error: ApiException) -> bool:
    """Return whether the request surely did not reach the Delivery API."""
    return error.status in _STATUSES or (error.status == 0 and getattr(error, "unsent", False))
