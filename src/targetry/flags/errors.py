"""Error of a flag evaluation, with OpenFeature's error code."""

from __future__ import annotations

from typing import Literal

ErrorCode = Literal[
    "PROVIDER_NOT_READY",
    "FLAG_NOT_FOUND",
    "PARSE_ERROR",
    "TYPE_MISMATCH",
    "TARGETING_KEY_MISSING",
    "INVALID_CONTEXT",
    "GENERAL",
]


class FlagError(Exception):
    """A flag has no value, so the default applies.

    `code` is OpenFeature's error code; the message contains no visitor id.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code: ErrorCode = code
