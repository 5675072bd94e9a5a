"""Numbers and times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime


def shown_time(epoch_ms: float) -> str:
    """`Fri 2026-11-27 18:00 UTC`; the number itself where the calendar does not reach."""
    return _formatted(epoch_ms, "%a %Y-%m-%d %H:%M UTC")


def shown_iso_time(text: str) -> str:
    """As `shown_time`, of a time as artifacts write it; what is none as it is."""
    try:
        return shown_time(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError):
        return text


def shown_clock(epoch_ms: float) -> str:
    """`18:00:27`, UTC; the number itself where the calendar does not reach."""
    return _formatted(epoch_ms, "%H:%M:%S")


def _formatted(epoch_ms: float, form: str) -> str:
    try:
        return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime(form)
    except (ValueError, OverflowError, OSError):
        return f"{epoch_ms:g}"


def counted(number: int, one: str, several: str | None = None) -> str:
    """`1 rule`, `2,000 rules`. `several`: the plural, where it is not with an s."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def shown_p_value(value: float) -> str:
    """`0.0312`; `< 0.0001` for what is smaller."""
    return f"{value:.4f}" if value >= 0.0001 else "< 0.0001"


def unusable_totals(number: int) -> str:
    """Return the sentence about order totals that a report could not add up."""
    verb = "is" if number == 1 else "are"
    return f"{counted(number, 'order total')} {verb} left out of the revenue: not a number, or out of range"


def shown_bytes(number: int) -> str:
    """Return a size with the unit that fits: `512 kB`, `1.5 GB`."""
    value, unit = number / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:,.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"


def shown_removal(removed: int, from_ms: float, to_ms: float) -> str:
    """Return the sentence about a report whose oldest events were removed."""
    verb = "was" if removed == 1 else "were"
    return f"covers {shown_time(from_ms)} to {shown_time(to_ms)}; {counted(removed, 'older event')} {verb} removed"
