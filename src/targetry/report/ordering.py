"""Order of activity and experience ids in reports."""

from __future__ import annotations


def id_sort_key(text: str) -> tuple[int, str]:
    """Return a sort key: numbers of at most 18 digits first, by their value, then other ids."""
    is_number = text.isascii() and text.isdigit() and len(text) <= 18
    return (int(text), "") if is_number else (10**18, text)
