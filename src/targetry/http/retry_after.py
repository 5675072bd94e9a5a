"""Dates and the `Retry-After` field of response headers."""

from __future__ import annotations

from targetry._runtime.lazy_import import importing


def retry_after_s(value: str | None, now: float) -> float | None:
    """Seconds that a `Retry-After` header asks for: a number of seconds or a date; None for anything else.

    `now` is the wall clock, in epoch seconds. A date in the past gives 0.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    moment = http_date(text)
    return None if moment is None else max(0.0, moment - now)


def http_date(value: str | None) -> float | None:
    """Return the date of a header such as `Last-Modified` in epoch seconds, or None for anything else."""
    if value is None:
        return None
    with importing():  # it takes long, and dates are rare
        import email.utils

    try:
        return email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
