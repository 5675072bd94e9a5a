"""Blocking interface of both default transports, so that one scenario runs with each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from servers.faulty import FaultyServer
from targetry.http import AsyncHttpTransport, HttpTransport
from targetry.http.protocol import HttpRequest, HttpResponse


class Client(Protocol):
    transport: HttpTransport | AsyncHttpTransport

    def send(
        self, request: HttpRequest, *, timeout: float = 60, max_bytes: int | None = None
    ) -> HttpResponse: ...
    def close(self) -> None: ...
    def finish(self) -> None: ...


Connect = Callable[..., Client]
Serve = Callable[..., FaultyServer]


class Blocking:
    def __init__(self, **options: Any) -> None:
        self.transport = HttpTransport(**options)
        self.transport.prepare()

    def send(
        self, request: HttpRequest, *, timeout: float = 60, max_bytes: int | None = None
    ) -> HttpResponse:
        return self.transport.send(request, timeout=timeout, max_bytes=max_bytes)

    def close(self) -> None:
        self.transport.close()

    finish = close


class Looped:
    def __init__(self, **options: Any) -> None:
        self.transport = AsyncHttpTransport(**options)
        self.transport.prepare()
        self._runner = asyncio.Runner(loop_factory=self._new_loop)

    @staticmethod
    def _new_loop() -> asyncio.AbstractEventLoop:
        return asyncio.new_event_loop()

    def send(
        self, request: HttpRequest, *, timeout: float = 60, max_bytes: int | None = None
    ) -> HttpResponse:
        return self._runner.run(self.transport.send(request, timeout=timeout, max_bytes=max_bytes))

    def close(self) -> None:
        """Close in a new loop, as closing must not depend on the loop that was used."""
        asyncio.run(self.transport.aclose())

    def finish(self) -> None:
        self.close()
        self._runner.close()


class UvLooped(Looped):
    """The asynchronous transport on an event loop of uvloop."""

    @staticmethod
    def _new_loop() -> asyncio.AbstractEventLoop:
        import uvloop

        return uvloop.new_event_loop()


def get(url: str, **headers: str) -> HttpRequest:
    return HttpRequest("GET", url, headers)


def post(url: str, body: bytes = b'{"id":1}') -> HttpRequest:
    return HttpRequest("POST", url, {"content-type": "application/json"}, body)
