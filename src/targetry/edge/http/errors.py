"""Error responses of the edge, in the shape of the Delivery API's `UnexpectedError`."""

from __future__ import annotations

from typing import Final

import msgspec

from targetry.edge.http.limits import Limit


class RequestRejected(Exception):  # noqa: N818  the server itself has no error
    """Request that is answered with an error status and a message for its author.

    Attributes:
        limit: The limit that the request exceeds; its connection is closed then.
    """

    def __init__(self, status: int, message: str, limit: Limit | None = None) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message
        self.limit = limit


def error_body(status: int, message: str) -> bytes:
    """Return the JSON body of an error response."""
    return msgspec.json.encode({"status": status, "message": message})


INTERNAL_ERROR: Final = "an internal error occurred; its cause is in the edge's log"
