"""Numbers of examples of property tests, scaled by the profile that hypothesis runs with."""

from __future__ import annotations

from hypothesis import settings


def examples(complete: int) -> int:
    """Return the number of examples for the current profile: a quarter without `complete`."""
    return max(5, complete * settings().max_examples // 100)
