"""Formats of numbers, times and sizes, and sentences with them."""

from __future__ import annotations

from datetime import UTC, datetime


def format_time(epoch_ms: float) -> str:
    """Return a time as `Fri 2026-11-27 18:00 UTC`.

    Args:
        epoch_ms: Epoch milliseconds; the number itself is returned if it is out of the calendar's
        range.
    """
    return _formatted(epoch_ms, "%a %Y-%m-%d %H:%M UTC")


def format_iso_time(text: str) -> str:
    """Return an ISO 8601 time as `format_time` does; any other text unchanged."""
    try:
        return format_time(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError):
        return text


def format_clock(epoch_ms: float) -> str:
    """Return a time of day as `18:00:27`, in UTC; the number itself if it is out of range."""
    return _formatted(epoch_ms, "%H:%M:%S")


def _formatted(epoch_ms: float, form: str) -> str:
    try:
        return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime(form)
    except (ValueError, OverflowError, OSError):
        return f"{epoch_ms:g}"


def pluralize(number: int, one: str, several: str | None = None) -> str:
    """Return a number with its noun: `1 rule`, `2,000 rules`.

    Args:
        number: The number.
        one: The noun in the singular.
        several: The plural, if it is not the singular with an s.
    """
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def format_signed_percent(value: float) -> str:
    """Return a lift in percent with its sign, without the unit: `+5.1`; never `-0.0`."""
    return f"{100 * value:+z.1f}"


def format_p_value(value: float) -> str:
    """Return a p-value as `0.0312`; smaller values are `< 0.0001`."""
    return f"{value:.4f}" if value >= 0.0001 else "< 0.0001"


def describe_unusable_totals(number: int) -> str:
    """Return the sentence about order totals that a report could not add up."""
    verb = "is" if number == 1 else "are"
    return f"{pluralize(number, 'order total')} {verb} left out of the revenue: not a number, or out of range"


def format_bytes(number: int) -> str:
    """Return a size with the unit that fits: `512 kB`, `1.5 GB`."""
    value, unit = number / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:,.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"


def describe_uncounted(uncounted: int) -> str:
    """Return the sentence about a report that could not count all events."""
    verb = "is" if uncounted == 1 else "are"
    return f"about {pluralize(uncounted, 'recorded event')} {verb} not in the figures, because of a lock or a missing permission; try again"


def describe_removal(removed: int, from_ms: float, to_ms: float) -> str:
    """Return the sentence about a report of a ledger whose events were partly removed."""
    verb = "was" if removed == 1 else "were"
    return (
        f"covers {format_time(from_ms)} to {format_time(to_ms)}; {pluralize(removed, 'event')} {verb} removed"
    )
