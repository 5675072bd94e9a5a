"""The seam between Targetry and the network: one question, one answer, within a time.

Everything that crosses it is here, and nothing of it knows a socket. The default implementations are in
`targetry.http`; fakes for tests are in `targetry.testing`; a user's own needs only these methods.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Protocol
from urllib.parse import unquote, unquote_plus

import msgspec

_SHORTEST_SECRET: Final = 3  # replacing a shorter text would spoil the words of a message


class HttpRequest(msgspec.Struct, frozen=True):
    """What is asked. `url` is absolute (`http` or `https`); `body` is sent as it is."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None = None

    def __repr__(self) -> str:
        """Without query, headers and body: they hold ids of visitors, and tokens."""
        url = shown_url(self.url)
        size = 0 if self.body is None else len(self.body)
        return f"HttpRequest({self.method} {url}, {size} bytes)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("method", self.method), ("url", shown_url(self.url))]


class HttpResponse(msgspec.Struct, frozen=True):
    """What came back, whatever its status.

    Names in `headers` are lower-case; a header that came several times holds its values joined by `, `.
    `body` is what the server meant: already unpacked where it was compressed for the way.
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
        """Ask and wait for the whole answer, of any status; redirects are answers too and are not followed.

        `timeout`, in seconds, bounds the whole call: waiting for a free connection, DNS, connecting, TLS, and
        every byte in both directions. `max_bytes` bounds the body, measured after it was unpacked.

        Raises:
            DeadlineError: the answer was not complete within `timeout`.
            TransportError: there is no answer, or none that can be used; `reason` says what happened with
                which host, the cause is chained.
            ClosedError: the transport was closed before.
        """
        ...

    def close(self) -> None:
        """Close the connections. Requests under way may finish. May be called twice."""
        ...


class AsyncTransport(Protocol):
    """Sends requests. Used by many tasks at once."""

    async def send(
        self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None
    ) -> HttpResponse:
        """As `Transport.send`. When the task is cancelled, the connection it used is given up."""
        ...

    async def aclose(self) -> None:
        """As `Transport.close`."""
        ...


def shown_url(url: str) -> str:
    """The URL as it may be shown and logged: without query, fragment, user and password."""
    scheme, separator, rest = url.partition("#")[0].partition("?")[0].partition("://")
    if not separator:
        return scheme
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def hide_secrets(text: str, url: str) -> str:
    """Return `text`, an error's message, with the user, password, query and fragment of `url` masked.

    Clients of other libraries write the URL that they requested into their messages, whole or in parts.
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
