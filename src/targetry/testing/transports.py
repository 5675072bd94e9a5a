"""Fake transports for tests of code that uses a client.

A client with a fake transport opens no connection:

    transport = FakeTransport(answer({"status": 200, "requestId": "1"}), TransportError())
    client = TargetClient.create(client="acme", organization_id="…", transport=transport)
    ...
    assert transport.requests[0].url.startswith("https://acme.tt.omtrdc.net/")

A fake takes a script, whose responses are used once each and in order, or a function of the
request. A request without a response in the script raises `AssertionError`.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from targetry.errors import ClosedError
from targetry.http.protocol import HttpRequest, HttpResponse

Scripted = HttpResponse | Exception
Answerer = Callable[[HttpRequest], "Scripted | Awaitable[Scripted]"]


def answer(body: Any = b"", *, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """Return a response.

    Args:
        body: Bytes or text, or a value that is encoded as JSON.
        status: HTTP status.
        headers: Header fields.
    """
    names = {name.lower(): value for name, value in (headers or {}).items()}
    if isinstance(body, str):
        body = body.encode()
    elif not isinstance(body, bytes):
        body = msgspec.json.encode(body)
        names.setdefault("content-type", "application/json")
    return HttpResponse(status, HTTPStatus(status).phrase, names, body)


class Asked(msgspec.Struct, frozen=True):
    """Call of `send`; `timeout` is in seconds."""

    request: HttpRequest
    timeout: float
    max_bytes: int | None


class _Script:
    """Base of the fakes.

    Attributes:
        asked: The calls in their order.
        closed: Whether the transport was closed.
    """

    def __init__(self, *script: Scripted, by: Answerer | None = None) -> None:
        """Take the responses.

        Args:
            script: A response, or an exception to raise, for each request.
            by: Function that returns the response to a request, in place of a script.
        """
        if script and by is not None:
            raise TypeError("a fake takes a script or a function, not both")
        self.asked: list[Asked] = []
        self.closed = False
        self._unused = list(script)
        self._by = by
        self._lock = threading.RLock()  # a signal handler may make a call while it is held

    @property
    def requests(self) -> list[HttpRequest]:
        """The requests in their order."""
        return [asked.request for asked in self.asked]

    @property
    def unused(self) -> int:
        """Number of responses of the script that are left."""
        return len(self._unused)

    def _next(self, asked: Asked) -> Scripted | Awaitable[Scripted]:
        if self.closed:
            raise ClosedError("the transport was closed")
        with self._lock:
            self.asked.append(asked)
            if self._by is None:
                if not self._unused:
                    raise AssertionError(f"no response is left in the script for {asked.request!r}")
                return self._unused.pop(0)
        return self._by(asked.request)


class FakeTransport(_Script):
    """`Transport` with responses of a script or a function."""

    def send(self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None) -> HttpResponse:
        """Return the next response."""
        return _given(self._next(Asked(request, timeout, max_bytes)))

    def close(self) -> None:
        """Refuse further requests."""
        self.closed = True


class AsyncFakeTransport(_Script):
    """`AsyncTransport` with responses of a script or a function, which can be `async`."""

    async def send(
        self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None
    ) -> HttpResponse:
        """Return the next response."""
        scripted = self._next(Asked(request, timeout, max_bytes))
        return _given(await scripted if inspect.isawaitable(scripted) else scripted)

    async def aclose(self) -> None:
        """Refuse further requests."""
        self.closed = True


def _given(scripted: Scripted | Awaitable[Scripted]) -> HttpResponse:
    if isinstance(scripted, Exception):
        raise scripted
    if not isinstance(scripted, HttpResponse):
        raise AssertionError(f"a fake transport was given {scripted!r}, which is no HttpResponse")
    return scripted
