"""Transport protocol: one request, one response, within a timeout.

The default transports are in `targetry.http`, fakes for tests in `targetry.testing`; another
implementation needs only the methods declared here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Protocol
from urllib.parse import unquote, unquote_plus

import msgspec

_SHORTEST_SECRET: Final = 3  # masking a shorter text would garble the words of a message


class HttpRequest(msgspec.Struct, frozen=True):
    """A request. `url` is absolute (`http` or `https`); `body` is sent unchanged.

    `resend_count` is how often it was sent before, without a usable response.
    """

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None = None
    resend_count: int = 0

    def __repr__(self) -> str:
        """Return a text without query, headers and body, which hold visitors' ids and tokens."""
        url = shown_url(self.url)
        size = 0 if self.body is None else len(self.body)
        return f"HttpRequest({self.method} {url}, {size} bytes)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("method", self.method), ("url", shown_url(self.url))]


class HttpResponse(msgspec.Struct, frozen=True):
    """A response of any status.

    Names in `headers` are lower-case; the values of a repeated header are joined by `, `. `body` is
    decompressed.
    """

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"HttpResponse({self.status} {self.reason}, {len(self.body)} bytes)"


class Transport(Protocol):
    """Sends requests. Used by several threads at once."""

    def send(self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None) -> HttpResponse:
        """Send `request` and return the whole response. Redirects are returned, not followed.

        Args:
            request: The request.
            timeout: Seconds for the whole call: waiting for a free connection, DNS, connecting,
                TLS, and every byte in both directions.
            max_bytes: The largest body, after decompression.

        Raises:
            DeadlineError: The response was not complete within `timeout`.
            TransportError: No usable response was received; `reason` names the host and the cause,
                and the original exception is chained.
            ClosedError: The transport was closed before.
        """
        ...

    def close(self) -> None:
        """Close the connections. Requests under way can finish. Closing twice is allowed."""
        ...


class AsyncTransport(Protocol):
    """Sends requests. Used by many tasks at once."""

    async def send(
        self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None
    ) -> HttpResponse:
        """Send `request`; see `Transport.send`. Cancellation closes its connection."""
        ...

    async def aclose(self) -> None:
        """Close the connections; see `Transport.close`."""
        ...


def shown_url(url: str) -> str:
    """Return `url` for logs and messages: without query, fragment, user and password."""
    scheme, separator, rest = url.partition("#")[0].partition("?")[0].partition("://")
    if not separator:
        return scheme
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def hide_secrets(text: str, url: str) -> str:
    """Return an error's message with user, password, query and fragment of `url` masked.

    HTTP libraries write the requested URL into their messages, whole or in parts.
    """
    text = text.replace(url, shown_url(url))
    for secret in sorted(set(_secrets(url)), key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "***")
    return text


def _secrets(url: str) -> Iterator[str]:
    rest, _, fragment = url.partition("#")
    rest, _, query = rest.partition("?")
    user_info, at, _ = rest.partition("://")[2].partition("/")[0].rpartition("@")
    yield from (fragment, query)
    for pair in query.split("&"):
        value = pair.partition("=")[2]
        yield from (value, unquote_plus(value))
    if at:
        user, _, password = user_info.partition(":")
        yield from (user_info, unquote(user_info), user, unquote(user), password, unquote(password))
