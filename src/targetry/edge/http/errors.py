"""What a request is refused with: a status and a message, in the shape of the API's `UnexpectedError` (spec/delivery.md §9)."""

from __future__ import annotations

from typing import Final

import msgspec


class Refused(Exception):  # noqa: N818  nothing went wrong here
    """The request cannot be answered. `status` is the HTTP status, `message` says to its author what is wrong."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message


def error_body(status: int, message: str) -> bytes:
    """The JSON of an error."""
    return msgspec.json.encode({"status": status, "message": message})


INTERNAL_ERROR: Final = error_body(500, "an internal error; the edge's log has its cause")
