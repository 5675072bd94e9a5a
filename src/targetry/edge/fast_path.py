"""Delivery requests answered where they are read, without the task, the messages and the layers of an ASGI app (RELIABILITY L6).

What surrounds a decision in an app costs several times as much as the decision. So a plain request, of which there are very many, is
taken off the connection as soon as it is complete: a POST with a body of known size, not encoded, from no
page of a browser. All others go the long way, through the app. Both ways answer alike, and a test holds them to it.

All requests that arrive in one turn of the event loop are decided one after the other, and only then answered. A decision right after
another takes half as long as one after a call into the system, which leaves little in the processor's caches. What
they make happen is recorded by one commit.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Final, NamedTuple, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from targetry.edge.app import RETRY_AFTER_S, SMALLEST_ZIPPED, Decided, Edge, Work
from targetry.edge.http.errors import INTERNAL_ERROR
from targetry.edge.http.limits import MAX_BODY_BYTES
from targetry.edge.http.request_body import ZIP_IN_THREAD_BYTES, zipped
from targetry.edge.observability.internal_error import log_internal_error

_PATH: Final = "/rest/v1/delivery"
_URL: Final = f"{_PATH}?".encode()
_ROUTE: Final = "delivery"
_LONG_WAY: Final = frozenset(
    {b"origin", b"sec-fetch-site", b"content-encoding", b"transfer-encoding", b"expect", b"upgrade"}
)

_JSON: Final = b"content-type: application/json\r\n"
_SMALL: Final = _JSON + b"vary: Origin\r\n"
_PLAIN: Final = _JSON + b"vary: Accept-Encoding, Origin\r\n"
_ZIPPED: Final = _PLAIN + b"content-encoding: gzip\r\n"
_NO_BODY: Final = b"vary: Origin\r\n"
_RETRY: Final = b"retry-after: %d\r\n" % RETRY_AFTER_S


class _Unheard:
    def set(self) -> None:
        """Nobody waits for it."""


class Exchange:
    """A request on the short way. It stands where uvicorn's protocol has the cycle of its app, and has what is looked at there."""

    __slots__ = ("body", "disconnected", "keep_alive", "query", "response_complete", "response_started", "started", "zips")  # fmt: skip

    message_event = _Unheard()

    def __init__(self, query: str, zips: bool, keep_alive: bool) -> None:
        self.query = query
        self.zips = zips
        self.keep_alive = keep_alive
        self.body: bytes | bytearray = b""
        self.response_started = self.response_complete = self.disconnected = False
        self.started = time.perf_counter()

    def take(self, piece: bytes) -> None:
        if not self.body:
            self.body = piece
            return
        if isinstance(self.body, bytes):
            self.body = bytearray(self.body)
        self.body += piece


class Line(Protocol):
    """The connection that a request came by."""

    server_state: Any  # uvicorn's: its tasks, and the headers of all answers

    def reply(self, exchange: Exchange, data: bytes) -> None:
        """Send an answer."""


class _Arrived(NamedTuple):
    exchange: Exchange
    line: Line


class _Reply(NamedTuple):
    to: _Arrived
    status: int
    message: bytes


class Shortcut:
    """The short way to an edge; belongs to one event loop."""

    @classmethod
    def to(cls, edge: Edge) -> Shortcut | None:
        """None for an edge that looks up the place of who asks, which only the long way knows."""
        return None if edge.looks_places_up else cls(edge)

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._host: bytes | None = None  # the last one that was allowed
        self._common: tuple[object, bytes] = (None, b"")
        self._arrived: list[_Arrived] = []
        self._under_way: set[asyncio.Task[None]] = set()

    def exchange(
        self,
        url: bytes,
        headers: list[tuple[bytes, bytes]],
        parser: Any,
        server: tuple[str, int | None] | None,
    ) -> Exchange | None:
        """Return the request whose head this is, if it can go this way.

        `parser` is httptools', `server` the local address of the connection.
        """
        if not url.startswith(_URL) or b"#" in url:
            return None
        length, zips, host = b"", None, b""
        for name, value in headers:
            if name in _LONG_WAY:
                return None
            if name == b"content-length":
                length = value
            elif name == b"host":
                host = value
            elif name == b"accept-encoding" and zips is None:
                zips = b"gzip" in value
        if not length.isdigit() or not 0 < int(length[:20]) <= MAX_BODY_BYTES:
            return None
        if parser.get_method() != b"POST" or parser.get_http_version() != "1.1":
            return None
        if host != self._host and not self._allows(host, server):
            return None
        return Exchange(url[len(_URL) :].decode(), bool(zips), parser.should_keep_alive())

    def _allows(self, host: bytes, server: tuple[str, int | None] | None) -> bool:
        """Whether the `Host` is one of the edge's; what is remembered holds for all connections of an edge."""
        if not self._edge.access.allows_host(host.decode("latin-1"), server, is_public=True):
            return False
        self._host = host
        return True

    def answer(self, exchange: Exchange, line: Line) -> None:
        """Reply to a request that is complete, in the next turn of the loop."""
        self._arrived.append(_Arrived(exchange, line))
        if len(self._arrived) == 1:
            asyncio.get_running_loop().call_soon(self._answer_all)

    def _answer_all(self) -> None:
        """First decide all that came in a turn of the loop, then send all."""
        arrived, self._arrived = self._arrived, []
        ready: list[_Reply] = []
        later: list[tuple[_Arrived, Decided]] = []
        for one in arrived:
            try:
                decided = self._edge.begin(one.exchange.query, bytes(one.exchange.body))
                if not isinstance(decided, Decided):
                    self._start(self._answer_heavy(one, decided))
                elif decided.answer.events or len(decided.answer.body) >= ZIP_IN_THREAD_BYTES:
                    later.append((one, decided))
                else:
                    ready.append(self._reply(one, *self._edge.settle(decided, True)))
            except Exception as error:
                ready.append(self._failure(one, error))
        self._send(ready)
        if later:
            self._start(self._answer_later(later))

    def _start(self, answering: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(answering)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _answer_heavy(self, one: _Arrived, work: Work) -> None:
        try:
            decided = await self._edge.run_heavy(work)
        except Exception as error:
            self._send([self._failure(one, error)])
            return
        await self._answer_later([(one, decided)])

    async def _answer_later(self, decided: list[tuple[_Arrived, Decided]]) -> None:
        """Those that make something happen, once that is recorded: all with one commit."""
        is_safe = await self._edge.recorder.record([one.answer.events for _, one in decided])
        ready: list[_Reply] = []
        for (one, each), safe in zip(decided, is_safe, strict=True):
            try:
                status, body = self._edge.settle(each, safe)
                if one.exchange.zips and len(body) >= ZIP_IN_THREAD_BYTES:
                    content = await asyncio.to_thread(zipped, body)
                    ready.append(_Reply(one, status, self._message(one, status, body, content)))
                else:
                    ready.append(self._reply(one, status, body))
            except Exception as error:
                ready.append(self._failure(one, error))
        self._send(ready)

    def _failure(self, arrived: _Arrived, error: Exception) -> _Reply:
        log_internal_error(self._edge.log, "POST %s failed", _PATH, error=error)
        return self._reply(arrived, 500, INTERNAL_ERROR)

    def _reply(self, arrived: _Arrived, status: int, body: bytes) -> _Reply:
        is_zipped = arrived.exchange.zips and len(body) >= SMALLEST_ZIPPED
        content = zipped(body) if is_zipped else None
        return _Reply(arrived, status, self._message(arrived, status, body, content))

    def _send(self, replies: list[_Reply]) -> None:
        for (exchange, line), _, message in replies:
            line.reply(exchange, message)
        now = time.perf_counter()
        for (exchange, _), status, _ in replies:
            self._edge.notes.note(_ROUTE, "POST", _PATH, status, now - exchange.started)

    def _message(self, arrived: _Arrived, status: int, body: bytes, zipped: bytes | None) -> bytes:
        common = arrived.line.server_state.default_headers  # a new list each second, for the date
        if self._common[0] is not common:
            self._common = common, b"".join(b"%b: %b\r\n" % header for header in common)
        close = b"" if arrived.exchange.keep_alive else b"connection: close\r\n"
        if status == 503:
            close += _RETRY
        if status == 204:
            return b"".join((STATUS_LINE[204], self._common[1], _NO_BODY, close, b"\r\n"))
        more = _SMALL if len(body) < SMALLEST_ZIPPED else _PLAIN if zipped is None else _ZIPPED
        content = body if zipped is None else zipped
        return b"%b%bcontent-length: %d\r\n%b%b\r\n%b" % (STATUS_LINE[status], self._common[1], len(content), more, close, content)  # fmt: skip
