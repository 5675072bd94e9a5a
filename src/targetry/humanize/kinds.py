"""Kinds of activities."""

from __future__ import annotations

from typing import Final

_KINDS: Final = {"ab": "A/B", "landing": "experience targeting"}


def describe_activity_type(activity_type: str | None) -> str:
    """What people call an `activity.type`; a type that is not known as it is, empty without one."""
    return _KINDS.get(activity_type or "", activity_type or "")
