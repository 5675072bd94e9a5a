"""Fakes for tests, ours and yours: a client that is given one never touches the network.

    transport = FakeTransport(answer({"status": 200, "requestId": "1"}), TransportError(reason="refused"))
    client = TargetClient.create(client="acme", organization_id="…", transport=transport)
    ...
    assert transport.requests[0].url.startswith("https://acme.tt.omtrdc.net/")

What a fake says is a script (each answer is used once, in order) or, for tests with more than one
kind of request, a function of the request. A request that the script has no answer for is an `AssertionError`.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from targetry._runtime.lazy_import import importing_extra
from targetry.errors import ClosedError
from targetry.http.protocol import HttpRequest, HttpResponse

if TYPE_CHECKING:
    from targetry.edge.in_process import LocalEdge

__all__ = ["Asked", "AsyncFakeTransport", "FakeTransport", "HttpRequest", "HttpResponse", "answer", "edge"]

Scripted = HttpResponse | Exception
Answerer = Callable[[HttpRequest], "Scripted | Awaitable[Scripted]"]


def answer(body: Any = b"", *, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """An answer. A `body` of bytes or text is taken as it is; anything else becomes JSON."""
    names = {name.lower(): value for name, value in (headers or {}).items()}
    if isinstance(body, str):
        body = body.encode()
    elif not isinstance(body, bytes):
        body = msgspec.json.encode(body)
        names.setdefault("content-type", "application/json")
    return HttpResponse(status, HTTPStatus(status).phrase, names, body)


def edge(artifact: Any = None, **options: Any) -> AbstractContextManager[LocalEdge]:
    """A local edge on a free port, for the length of a `with`; arguments are those of `targetry.edge.in_process.edge`.

        with edge() as here, TargetClient.create(**here.client_options()) as client:
            client.get_offers(request=request)

    Needs the extra `targetry[edge]`; raises `MissingExtraError` without it. With pytest, `from targetry.pytest_plugin import target_edge` is the same as a fixture.
    """
    with importing_extra("edge"):
        from targetry.edge.in_process import edge as local_edge

    return local_edge(artifact, **options)


class Asked(msgspec.Struct, frozen=True):
    """One call of `send`."""

    request: HttpRequest
    timeout: float
    max_bytes: int | None


class _Script:
    """What both fakes share. `asked` has the calls, `requests` only what was asked, in order."""

    def __init__(self, *script: Scripted, by: Answerer | None = None) -> None:
        """`script`: an answer, or an exception to raise, for each request. `by`: a function that says it instead."""
        if script and by is not None:
            raise TypeError("a fake has a script or a function, not both")
        self.asked: list[Asked] = []
        self.closed = False
        self._unused = list(script)
        self._by = by
        self._lock = threading.RLock()  # a signal handler may make a call while it is held

    @property
    def requests(self) -> list[HttpRequest]:
        return [asked.request for asked in self.asked]

    @property
    def unused(self) -> int:
        """How many answers of the script nobody asked for yet."""
        return len(self._unused)

    def _next(self, asked: Asked) -> Scripted | Awaitable[Scripted]:
        if self.closed:
            raise ClosedError("the transport was closed")
        with self._lock:
            self.asked.append(asked)
            if self._by is None:
                if not self._unused:
                    raise AssertionError(f"no answer is left in the script for {asked.request!r}")
                return self._unused.pop(0)
        return self._by(asked.request)


class FakeTransport(_Script):
    """A `Transport` that answers from a script or by a function."""

    def send(self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None) -> HttpResponse:
        return _given(self._next(Asked(request, timeout, max_bytes)))

    def close(self) -> None:
        self.closed = True


class AsyncFakeTransport(_Script):
    """An `AsyncTransport` that answers from a script or by a function, which may be `async`."""

    async def send(
        self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None
    ) -> HttpResponse:
        scripted = self._next(Asked(request, timeout, max_bytes))
        return _given(await scripted if inspect.isawaitable(scripted) else scripted)

    async def aclose(self) -> None:
        self.closed = True


def _given(scripted: Scripted | Awaitable[Scripted]) -> HttpResponse:
    if isinstance(scripted, Exception):
        raise scripted
    if not isinstance(scripted, HttpResponse):
        raise AssertionError(f"a fake transport was to answer with {scripted!r}, which is no HttpResponse")
    return scripted
