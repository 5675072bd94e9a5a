"""Numbers and times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime


def format_time(epoch_ms: float) -> str:
    """`Fri 2026-11-27 18:00 UTC`; the number itself where the calendar does not reach."""
    return _formatted(epoch_ms, "%a %Y-%m-%d %H:%M UTC")


def format_iso_time(text: str) -> str:
    """As `format_time`, of a time as artifacts write it; what is none as it is."""
    try:
        return format_time(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError):
        return text


def format_clock(epoch_ms: float) -> str:
    """`18:00:27`, UTC; the number itself where the calendar does not reach."""
    return _formatted(epoch_ms, "%H:%M:%S")


def _formatted(epoch_ms: float, form: str) -> str:
    try:
        return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime(form)
    except (ValueError, OverflowError, OSError):
        return f"{epoch_ms:g}"


def pluralize(number: int, one: str, several: str | None = None) -> str:
    """`1 rule`, `2,000 rules`. `several`: the plural, where it is not with an s."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def format_p_value(value: float) -> str:
    """`0.0312`; `< 0.0001` for what is smaller."""
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


def describe_removal(removed: int, from_ms: float, to_ms: float) -> str:
    """Return the sentence about a report whose oldest events were removed."""
    verb = "was" if removed == 1 else "were"
    return f"covers {format_time(from_ms)} to {format_time(to_ms)}; {pluralize(removed, 'older event')} {verb} removed"
