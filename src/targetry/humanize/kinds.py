"""Names of activity types."""

from __future__ import annotations

from typing import Final

_KINDS: Final = {"ab": "A/B", "landing": "experience targeting"}


def describe_activity_type(activity_type: str | None) -> str:
    """Return the name of an `activity.type`.

    An unknown type unchanged, an absent one as empty text.
    """
    return _KINDS.get(activity_type or "", activity_type or "")
