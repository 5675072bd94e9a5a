"""Result of an OFREP request, for the dashboard."""

from __future__ import annotations

from typing import NamedTuple


class FlagSummary(NamedTuple):
    """Result of an OFREP request, without objects.

    `key` is None for all flags, whose number is then the value.
    """

    key: str | None
    value: str | float | None = None
    reason: str | None = None
