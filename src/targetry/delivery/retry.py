"""Whether a Delivery API call is worth another try (spec/divergences.md D-29).

Only what was surely not answered is asked again: the connection was not made, or a gateway says that nobody was
behind it. Tries are few, inside the caller's deadline, and paid from a budget that successes fill
up again, so that a service in trouble is not asked more than it was before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from targetry.errors import ApiException, DeadlineError

MAX_RETRIES: Final = 2

_FIRST_PAUSE_S = 0.05
_LEAST_TRY_S = 0.05  # a try that has less only hides why the one before it failed
_TOKENS = 10.0
_TOKEN_BACK = 0.1
_STATUSES = frozenset({502, 503, 504})


class RetryBudget:
    """Tokens for retries: one each, a tenth back for each call that went well. Threads may share it: losing a
    race moves it by a tenth."""

    __slots__ = ("tokens",)

    def __init__(self) -> None:
        self.tokens = _TOKENS

    def earn(self) -> None:
        if self.tokens < _TOKENS:
            self.tokens = min(_TOKENS, self.tokens + _TOKEN_BACK)

    def spend(self) -> bool:
        """Take a token; False when there is none."""
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


def pause_s(error: ApiException, tries: int, left_s: float, random: float) -> float | None:
    """How long to wait before asking again, None for not at all.

    `tries` have failed so far, `left_s` seconds are left of the call's time, `random` is in [0, 1): full jitter.
    """
    if tries > MAX_RETRIES or isinstance(error, DeadlineError) or not was_unreachable(error):
        return None
    asked = _retry_after_s(error.headers or {})
    pause = random * _FIRST_PAUSE_S * 2**tries if asked is None else asked
    return pause if pause + _LEAST_TRY_S <= left_s else None


def was_unreachable(error: ApiException) -> bool:
    """Return whether the request surely did not reach the Delivery API."""
    return error.status in _STATUSES or (error.status == 0 and getattr(error, "unsent", False))


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds; a date is for those who can wait longer than a call may last."""
    text = headers.get("retry-after", "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 9 else None
