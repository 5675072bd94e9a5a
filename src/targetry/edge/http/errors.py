"""Error responses of the edge, in the shape of the Delivery API's `UnexpectedError`."""

from __future__ import annotations

from typing import Final

import msgspec


class RequestRejected(Exception):  # noqa: N818  the server itself has no error
    """Request that is answered with an error status and a message for its author."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message


def error_body(status: int, message: str) -> bytes:
    """Return the JSON body of an error response."""
    return msgspec.json.encode({"status": status, "message": message})


INTERNAL_ERROR: Final = error_body(500, "an internal error; the edge's log has its cause")
