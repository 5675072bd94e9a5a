"""Error of a flag evaluation, with OpenFeature's error code."""

from __future__ import annotations

from targetry.errors import ErrorCode


class FlagError(Exception):
    """A flag has no value, so the default applies.

    `code` is OpenFeature's error code; the message contains no visitor id.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code: ErrorCode = code
