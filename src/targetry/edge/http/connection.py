"""Connection between a client and uvicorn's HTTP protocol, bounded in size, time and number.

uvicorn bounds neither request heads nor the time until a request is complete, closes a connection
that is over a limit with a response to the newest client, and has no bound for unread responses.
`BoundedConnection` is the `http` class of `uvicorn.Config`: it receives the bytes of a connection,
follows the boundaries of requests with a parser of `httptools`, and passes the bytes on to an
unchanged protocol of uvicorn, which it knows by the interface of `asyncio.Protocol` only. That
protocol writes to a `ServerTransport`, so a close by the server can wait until the client has read
its response.

Bounds of a complete head (fields, `Host`) and of bodies are checked by the application, which
answers with a response of its own.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from targetry.edge.http.connection_registry import ConnectionRegistry
from targetry.edge.http.errors import error_body
from targetry.edge.http.limits import MAX_HEAD_BYTES, MAX_REQUEST_BYTES, Limit
from targetry.edge.http.request_head import HEAD_TOO_LARGE

REGISTRY: Final = "targetry.connections"
"""Key of the `ConnectionRegistry` in the state that the application sets at startup."""

CONNECTION: Final = "targetry.connection"
"""Key of the connection in the state of a request."""

_IDLE, _HEAD, _BODY = range(3)
_LINGER_S: Final = 1.0
_UPGRADE: Final = re.compile(rb"\nupgrade[ \t]*:", re.IGNORECASE)


def _rejection(status: int, message: str) -> bytes:
    body = error_body(status, message)
    return (
        b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
        % (status, HTTPStatus(status).phrase.encode(), len(body), body)
    )


_REJECTIONS: Final[Mapping[Limit, bytes]] = {
    "not_http": _rejection(400, "the request is not HTTP/1.1"),
    "slow": _rejection(408, "the request did not arrive in time"),
    "body": _rejection(413, f"the request is larger than {MAX_REQUEST_BYTES:,} bytes"),
    "head": _rejection(431, HEAD_TOO_LARGE),
    "busy": _rejection(503, "the edge has too many connections; send the request again later"),
}


class ServerTransport(asyncio.Transport):
    """Transport of uvicorn's protocol.

    A close goes through the connection, and what is written can be held: head and body of a
    response are written together, and in the order of the responses.
    """

    def __init__(self, connection: BoundedConnection, transport: asyncio.Transport) -> None:
        super().__init__()
        self._connection = connection
        self._transport = transport
        self.is_reading_paused = False
        self._held: list[Any] | None = None
        self.write = self.write_to_socket = transport.write  # type: ignore[method-assign]
        self.abort = transport.abort  # type: ignore[method-assign]
        self.get_extra_info = transport.get_extra_info  # type: ignore[method-assign]
        self.get_write_buffer_size = transport.get_write_buffer_size  # type: ignore[method-assign]

    def hold_writes(self) -> None:
        """Keep what is written, until `release_writes`."""
        if self._held is None:
            self._held = []
            self.write = self.write_to_socket = self._hold  # type: ignore[method-assign]

    def _hold(self, data: bytes | bytearray | memoryview) -> None:
        assert self._held is not None
        self._held.append(data)

    def release_writes(self) -> None:
        """Write what was kept, if writes were held and the connection is still open."""
        held, self._held = self._held, None
        if held is not None:
            self.write = self.write_to_socket = self._transport.write  # type: ignore[method-assign]
            if held and not self._transport.is_closing():
                self._transport.writelines(held)

    def close(self) -> None:
        self.release_writes()
        self._connection.close_by_server()

    def is_closing(self) -> bool:
        return self._connection.is_closing

    def pause_reading(self) -> None:
        self.is_reading_paused = True
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self.is_reading_paused = False
        self._transport.resume_reading()


class BoundedConnection(asyncio.Protocol):
    """One connection, as long as it is open.

    Attributes:
        since: When the connection entered its state, in the event loop's time.
        has_large_input: Whether a head can be larger than its limit.
        is_closed_to_input: Whether no more input is read, because either side has ended it.
    """

    def __init__(self, *, app_state: dict[str, Any], **arguments: Any) -> None:
        """Take the arguments that uvicorn gives to each protocol class."""
        self.since = 0.0
        self.has_large_input = False
        self._registry: ConnectionRegistry = app_state[REGISTRY]
        server = HttpToolsProtocol(app_state={**app_state, CONNECTION: self}, **arguments)
        server.access_log = (
            False  # its lines show queries; `Config.access_log` holds only until a handler is added
        )
        self._server: asyncio.Protocol = server
        self._loop = asyncio.get_running_loop()
        self._parser = self._new_parser()
        self._state = _IDLE
        self._received = 0  # bytes of the head or body that is arriving
        self._held = b""  # the part of a head that has arrived
        self._heads = self._complete = self._started = self._finished = 0  # requests
        self._target = b""  # request target, unless it is a path
        self._targets: dict[int, bytes] = {}
        self._body = b""  # the latest body, if it came in one piece
        self._body_of = 0  # the number of its request; negative if it came in several
        self._is_served = False
        self._is_upgrade = False
        self._is_responding = False
        self.is_closed_to_input = False
        self._is_malformed = False
        self._was_rejected_by_server = False
        self._has_long_target = False
        self._last_response: bytes | None = None  # after the responses that are due
        self._closes_when_done = False
        self._closes_at: float | None = None
        self._unread = 0
        self._unread_since = 0.0

    def _new_parser(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self)
        parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as the server has it
        return parser

    # For the application

    def start_request(self) -> bytes:
        """Note that the next request has been started; return its target if that is no path."""
        self._started += 1
        self._registry.writes.start_request()
        return self._targets.pop(self._started, b"") if self._targets else b""

    def take_body(self) -> bytes | None:
        """Return the body of the request that was started last.

        Returns:
            The body, if it has arrived in one piece; else None, and the server has it.
        """
        if self._body_of != self._started or self._started > self._complete:
            return None
        body, self._body = self._body, b""
        return body

    def start_response(self) -> None:
        """Note that a response is about to be written."""
        self._is_responding = True

    def start_whole_response(self) -> None:
        """Note that a whole response is about to be written, until `finish_request`.

        It is written at once, unless the client has not read earlier ones: then uvicorn can wait
        between head and body.
        """
        self._is_responding = True
        if self._closes_at is None and not self._transport.get_write_buffer_size():
            self._server_transport.hold_writes()

    def finish_request(self) -> None:
        """Note that the application has responded."""
        self._registry.writes.finish_request(self._server_transport, self._loop)
        self._finished += 1
        if self._body_of == self._finished:
            self._body = b""
        self._is_responding = False
        if self.is_closed_to_input and not self._owes_response and not self._transport.is_closing():
            self._server_transport.release_writes()
            if self._last_response is not None:
                self._transport.write(self._last_response)
                self._last_response = None
                self._close()
            elif self._closes_when_done:
                self._transport.close()

    # For the registry

    @property
    def is_waiting(self) -> bool:
        """Whether the client has to act next."""
        return not self._owes_response

    @property
    def unread_bytes(self) -> int:
        """Size of the responses that the client has not read yet."""
        return self._transport.get_write_buffer_size()

    def check_time(self, now: float) -> None:
        """Close the connection if its client takes too long."""
        if self._reads_nothing(now):
            self._registry.monitor.record("unread")
            self._transport.abort()
        elif self._owes_response:
            self.since = now
        elif self._transport.is_closing():
            return
        elif self._closes_at is not None:
            if now >= self._closes_at:
                self._transport.close()
        elif self._state == _IDLE:
            if now - self.since >= self._registry.limits.idle_s:
                self._registry.monitor.record("idle")
                self._transport.close()
        elif self._server_transport.is_reading_paused:  # so the client cannot send
            self.since = now
        elif now - self.since >= self._registry.limits.request_s * (2 if self._is_read_by_application else 1):
            self._reject("slow")

    def evict(self) -> None:
        """Close the connection at once."""
        self._server_transport.release_writes()
        self.is_closed_to_input = True
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._transport.close()

    # For the event loop

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._server_transport = ServerTransport(self, transport)
        self.since = self._loop.time()
        if not self._registry.add(self, self._loop):
            self.is_closed_to_input = True
            transport.write(_REJECTIONS["busy"])
            transport.close()
            return
        self._is_served = True
        self._server.connection_made(self._server_transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._registry.remove(self)
        if self._is_served:
            self._server.connection_lost(exc)

    def pause_writing(self) -> None:
        self._server.pause_writing()

    def resume_writing(self) -> None:
        self._server.resume_writing()

    def eof_received(self) -> bool:
        """Keep the connection open until a client that has stopped sending has its responses."""
        if not self._owes_response or self._transport.is_closing():
            self._server_transport.release_writes()
            return False
        self.is_closed_to_input = self._closes_when_done = True
        return True

    def data_received(self, data: bytes) -> None:
        if self.is_closed_to_input:
            self._discard(len(data))
            return
        state, heads = self._state, self._heads
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade(
                data, upgrade.args[0], is_only_request=state != _BODY and heads == self._heads
            )
            return
        except httptools.HttpParserError:
            self._is_malformed = True
            self._pass_on(data)
            self._reject("not_http")
            return
        if self._state != state or self._heads != heads:
            self.since = self._loop.time()
        if self._state == _IDLE:
            self._pass_on(data)
        elif self._state == _HEAD and state != _BODY and heads == self._heads:
            self._hold(data)
        else:
            self._received = self._received + len(data) if heads == self._heads else len(data)
            self._pass_on(data)
            if self._received > MAX_REQUEST_BYTES:
                self._reject("body")

    # For the parser

    def on_message_begin(self) -> None:
        self._state, self._received = _HEAD, 0

    def on_url(self, url: bytes) -> None:
        if self._target or not url.startswith(b"/"):
            self._target += url
        elif len(url) >= MAX_HEAD_BYTES:
            self._has_long_target = True

    def on_headers_complete(self) -> None:
        if self._parser.should_upgrade():
            self._is_upgrade = True
            return
        self._heads += 1
        self._state = _BODY
        if self._target:
            self._targets[self._heads], self._target = self._target, b""

    def on_body(self, body: bytes) -> None:
        if abs(self._body_of) == self._heads:
            self._body, self._body_of = b"", -self._heads
        else:
            self._body, self._body_of = body, self._heads

    def on_message_complete(self) -> None:
        if not self._is_upgrade:
            self._complete += 1
            self._state = _IDLE

    # Requests

    def _hold(self, data: bytes) -> None:
        """Keep back the part of a head, so the server has whole heads only."""
        self._held += data
        if len(self._held) > MAX_HEAD_BYTES:
            self._reject("head")

    def _pass_on(self, data: bytes) -> None:
        if self._held:
            data, self._held = self._held + data, b""
        if len(data) > MAX_HEAD_BYTES:
            self.has_large_input = True
        transport = self._server_transport
        transport.write = self._note_rejection  # type: ignore[method-assign]
        self._server.data_received(data)  # tasks answer, so only a rejection is written now
        transport.write = transport.write_to_socket  # type: ignore[method-assign]
        if self._was_rejected_by_server and not self._is_malformed:
            self._heads -= 1  # only the server rejects a target that is no URL, or is long
            self._complete = min(self._complete, self._heads)
            self._reject("head" if self._has_long_target else "not_http")

    def _note_rejection(self, data: bytes | bytearray | memoryview) -> None:
        self._was_rejected_by_server = True

    def _ignore(self, data: bytes | bytearray | memoryview) -> None:
        """Drop a response after the end of the connection."""

    def _decline_upgrade(self, data: bytes, end: int, *, is_only_request: bool) -> None:
        """Continue without the offer of another protocol, for which the parser would take the body.

        `end` is the end of the head that has the offer.
        """
        method = self._parser.get_method()
        self._parser, self._state, self._is_upgrade, self._target = self._new_parser(), _IDLE, False, b""
        if method == b"CONNECT" or not is_only_request:
            self._is_malformed = True
            self._pass_on(data[:end])
            self._heads += method != b"CONNECT"
            self._complete = self._heads
            self._reject("not_http")
            return
        head, self._held = self._held + data[:end], b""
        self.data_received(_UPGRADE.sub(b"\nx-declined-upgrade:", head) + data[end:])

    @property
    def _owes_response(self) -> bool:
        """Whether a request that is complete has no response yet, and will get one."""
        return self._finished < self._complete and self._closes_at is None

    @property
    def _is_read_by_application(self) -> bool:
        return self._state == _BODY and self._started > self._finished

    def _reads_nothing(self, now: float) -> bool:
        unread = self._transport.get_write_buffer_size()
        if unread != self._unread or not unread:
            self._unread, self._unread_since = unread, now
            return False
        return now - self._unread_since >= self._registry.limits.idle_s

    # Ends

    @property
    def is_closing(self) -> bool:
        """Whether the connection is closed, or will be once the client has read."""
        return self._closes_at is not None or self._transport.is_closing()

    def close_by_server(self) -> None:
        if not self._was_rejected_by_server and self._last_response is None:
            self._close()

    def _reject(self, limit: Limit) -> None:
        """Respond with the reason and close, after the responses that are due."""
        if self.is_closed_to_input:
            return
        self._registry.monitor.record(limit)
        self.is_closed_to_input = True
        if self._owes_response:
            self._last_response = _REJECTIONS[limit]
            return
        self._server_transport.release_writes()
        if not self._is_responding and (self._state != _BODY or self._finished < self._heads):
            self._transport.write(_REJECTIONS[limit])
        self._close()

    def _close(self) -> None:
        """Close; give a client that is still sending time to read.

        Unread input would reset the connection, and the client would lose its response.
        """
        self.is_closed_to_input = True
        if self._state == _IDLE or self.is_closing:
            self._transport.close()
            return
        self._closes_at, self._received = self._loop.time() + _LINGER_S, 0
        self._server_transport.write = self._ignore  # type: ignore[method-assign]
        self._transport.write_eof()
        self._server_transport.resume_reading()

    def _discard(self, size: int) -> None:
        self._received += size
        if self._closes_at is not None and self._received > MAX_REQUEST_BYTES:
            self._transport.abort()
