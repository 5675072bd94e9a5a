"""Numbers of examples of property tests, scaled by the profile that hypothesis runs with."""

from __future__ import annotations

from hypothesis import settings


def examples(complete: int) -> int:
    """Scale the number of examples that the profile `complete` runs; the ordinary profile runs a quarter."""
    return max(5, complete * settings().max_examples // 100)
