"""Access control of what the edge's pages change: same origin, and a token."""

from __future__ import annotations

import hmac

from starlette.requests import Request

from targetry.edge.http.errors import RequestRejected
from targetry.errors import OptionError

_NO_TOKEN = (
    "changes are off: other machines can reach this edge; start it with --page-token, and send the token"
)
_WRONG_TOKEN = "the token of the page is missing or wrong; it is that of --page-token"
_NO_ORIGIN = "the request has no Origin; send it from the edge's page"


class WriteAccess:
    """Decides which changes a page of the edge makes.

    `AccessPolicy` has rejected other origins before.
    """

    def __init__(self, token: str | None = None, *, is_remote: bool = False) -> None:
        """Read the options.

        Args:
            token: The token that each change needs, None for none.
            is_remote: Whether other machines can reach the edge; it then changes nothing without
                a token.

        Raises:
            OptionError: The token is empty or has characters that no form field keeps.
        """
        if token is not None and (not token or not token.isascii() or not token.isprintable()):
            raise OptionError("page_token", "must be printable ASCII characters")
        self._token = token
        self.is_possible = token is not None or not is_remote

    @property
    def needs_token(self) -> bool:
        """Whether a form has to ask for the token."""
        return self._token is not None

    def check(self, request: Request, token: str) -> None:
        """Check a change.

        Raises:
            RequestRejected: 403, it is not allowed.
        """
        if "origin" not in request.headers:
            raise RequestRejected(403, _NO_ORIGIN)
        if not self.is_possible:
            raise RequestRejected(403, _NO_TOKEN)
        if self._token is not None and not hmac.compare_digest(token.encode(), self._token.encode()):
            raise RequestRejected(403, _WRONG_TOKEN)

    def __repr__(self) -> str:
        return f"WriteAccess(needs_token={self.needs_token})"
