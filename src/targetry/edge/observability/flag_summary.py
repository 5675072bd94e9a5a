"""Result of an OFREP request, for the dashboard."""

from __future__ import annotations

import msgspec


class FlagSummary(msgspec.Struct, frozen=True, gc=False):
    """Result of an OFREP request, without objects.

    `key` is None for all flags, whose number is then `value`. `value` is None if the application's
    default applies, and of an object or a list only a sign.
    """

    key: str | None
    value: str | float | None = None
    reason: str | None = None
