"""Validity of session ids, as the Delivery API defines it for the query parameter `sessionId`."""

from __future__ import annotations

from typing import Final

MAX_LENGTH: Final = 128
_FORBIDDEN: Final = frozenset(" ?/")


def session_id_fault(value: str) -> str | None:
    """Return what makes a session id invalid, as the end of a message; None if it is valid."""
    if not value:
        return "is required"
    if len(value) > MAX_LENGTH:
        return f"must have at most {MAX_LENGTH} characters, has {len(value)}"
    if not value.isprintable() or not _FORBIDDEN.isdisjoint(value):
        return "must be printable, without space, '?' and '/'"
    return None
