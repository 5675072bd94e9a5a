"""One connection: HTTP/1.1 as uvicorn speaks it, bounded in size and time (RELIABILITY B7), with the short way for delivery requests.

uvicorn's own protocol bounds neither heads nor times, so this one says where in a request a connection is and since when, and the
door looks at that. Bodies on the long way are bounded by `bodies` as well, which can say so in an answer.
"""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from targetry.edge.fast_path import Exchange, Shortcut
from targetry.edge.http.access_policy import Authority, parse_authority
from targetry.edge.http.connection_registry import Door
from targetry.edge.http.errors import error_body
from targetry.edge.http.limits import MAX_FIELDS, MAX_HEAD_BYTES, MAX_REQUEST_BYTES, Limit

IDLE, HEAD, BODY, ANSWER = range(4)  # what of a request is under way
_LINGER_S: Final = 1.0


def _refusal(status: int, message: str) -> bytes:
    body = error_body(status, message)
    return (
        b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
        % (status, HTTPStatus(status).phrase.encode(), len(body), body)
    )


_REFUSALS: Final[dict[Limit, bytes]] = {
    "not_http": _refusal(400, "this is not HTTP/1.1"),
    "host": _refusal(400, "the request must have one Host field, of the host that it is sent to"),
    "slow": _refusal(408, "the request did not arrive in time"),
    "body": _refusal(413, f"the request is larger than {MAX_REQUEST_BYTES:,} bytes"),
    "head": _refusal(431, f"the head is larger than {MAX_HEAD_BYTES:,} bytes, or has more than {MAX_FIELDS} fields"),
    "busy": _refusal(503, "there are too many connections; try again"),
}  # fmt: skip


class _TooLarge(Exception):  # noqa: N818  ends the parser's work, and goes no further
    pass


class _WrongHost(Exception):  # noqa: N818  as well
    pass


class _NotServed(Exception):  # noqa: N818  as well
    pass


_BREACHES: Final[dict[type, Limit]] = {_TooLarge: "head", _WrongHost: "host"}


class BoundedProtocol(HttpToolsProtocol):
    """A connection; `door` knows it as long as it is there, `shortcut` answers what is plain."""

    # Uvicorn's for the request that came last, or an `Exchange`, which has all that is asked of one.
    cycle: Any

    def __init__(self, door: Door, shortcut: Shortcut | None, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.since = 0.0
        self._door = door
        self._shortcut = shortcut
        self._state = IDLE
        self._received = 0  # bytes of the head, then of the body; those that came with the end of another request are not known
        self._data = b""
        self._begun = 0  # requests, in the data at hand
        self._may_be_short = False  # the next request
        self._is_offer = False  # of another protocol
        self._is_deaf = False
        self._known_host: bytes | None = None
        self.access_log = False  # uvicorn's own shows queries, and with them sessions
        self._farewell: bytes | None = None
        self._unsent = 0
        self._unsent_since = 0.0
        self._ends_at: float | None = None

    # What the door asks

    @property
    def is_waiting(self) -> bool:
        return not self._owes_an_answer()

    @property
    def unsent(self) -> int:
        return self.transport.get_write_buffer_size()

    def look(self, now: float) -> None:
        if self._takes_nothing(now):
            self._door.breaches.note("unread")
            self.transport.abort()
            return
        if self.transport.is_closing() or self._owes_an_answer():
            return
        if self._ends_at is not None:
            if now >= self._ends_at:
                self.transport.close()
            return
        limits, waited = self._door.limits, now - self.since
        if self._state == IDLE:
            if waited >= limits.idle_s:
                self._door.breaches.note("idle")
                self.transport.close()
        elif self.flow.read_paused:  # it is we who do not listen
            self.since = now
        elif waited >= limits.request_s * (1 if self._state == HEAD or self._is_short() else 2):
            self._refuse("slow")

    def make_room(self) -> None:
        self._is_deaf = True
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    # What the event loop says

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.since = self.loop.time()
        if not self._door.enter(self, self.loop):
            self._is_deaf = True
            transport.write(_REFUSALS["busy"])
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._door.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._may_be_short = True
        while data and not self._is_deaf:
            data = self._fed(data)
        if data and self._ends_at is not None:
            self._received += len(data)
            if self._received > MAX_REQUEST_BYTES:
                self.transport.abort()

    def eof_received(self) -> bool:  # type: ignore[override]
        """A client that says no more may still wait for its answer."""
        if not self._owes_an_answer() or self.transport.is_closing():
            return False
        self._is_deaf = True
        self.cycle.keep_alive = False
        return True

    def _fed(self, data: bytes) -> bytes:
        """Have it parsed; what is to be parsed then."""
        was, self._data, self._begun = self._state, data, 0
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return self._without_offer() + data[upgrade.args[0] :]
        except httptools.HttpParserError as error:
            self._refuse(_BREACHES.get(type(error.__context__), "not_http"))
        else:
            is_all_of_one = self._begun == (1 if was == IDLE else 0)
            if self._state in (HEAD, BODY) and is_all_of_one:
                self._count(len(data))
        return b""

    def _without_offer(self) -> bytes:
        """The head of a request that offers another protocol, which is not taken, without the offer: the parser would take what
        follows for the other protocol, but it is the body."""
        method, self.parser = self.parser.get_method(), httptools.HttpRequestParser(self)
        self._state = IDLE
        kept = [(name, value) for name, value in self.headers if name not in (b"upgrade", b"connection")]
        if any(name == b"connection" and b"close" in value.lower() for name, value in self.headers):
            kept.append((b"connection", b"close"))
        fields = b"".join(b"%b: %b\r\n" % field for field in kept)
        return b"%b %b HTTP/1.1\r\n%b\r\n" % (method, self.url, fields)

    def _count(self, size: int) -> None:
        self._received += size
        if self._state == HEAD and self._received > MAX_HEAD_BYTES:
            self._refuse("head")
        elif self._received > MAX_REQUEST_BYTES:
            self._refuse("body")

    # What the parser says

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._state, self.since, self._received = HEAD, self.loop.time(), 0
        self._begun += 1
        self._is_offer = False

    def on_headers_complete(self) -> None:
        if len(self.headers) > MAX_FIELDS or (len(self._data) > MAX_HEAD_BYTES and self._is_head_too_large()):
            raise _TooLarge
        if not self._has_one_host():
            raise _WrongHost
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise _NotServed
            self._is_offer = True
            return
        exchange = self._exchange()
        if exchange is not None:
            self.cycle = exchange
        else:
            super().on_headers_complete()
            self.cycle.transport = _CyclesTransport(self)
        self._state, self._received = BODY, 0

    def _exchange(self) -> Exchange | None:
        """The request, if it can go the short way: one of those that came together, so that clients take turns."""
        if self._shortcut is None or not self._may_be_short or self.flow.write_paused:
            return None
        self._may_be_short = False
        if self.cycle is not None and not self.cycle.response_complete:
            return None
        return self._shortcut.exchange(self.url, self.headers, self.parser, self.server)

    def _has_one_host(self) -> bool:
        """Whether it is clear to which host the request is sent; HTTP/1.0 need not say so."""
        hosts = [value for name, value in self.headers if name == b"host"]
        if not hosts:
            return self.parser.get_http_version() == "1.0" and self.url.startswith(b"/")
        if len(hosts) > 1:
            return False
        if self.url.startswith(b"/") and hosts[0] == self._known_host:
            return True
        host = parse_authority(hosts[0].decode("latin-1"))
        if host is None or not _is_sent_to(self.url, host):
            return False
        self._known_host = hosts[0]
        return True

    def _is_head_too_large(self) -> bool:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES

    def on_body(self, body: bytes) -> None:
        if self._is_short():
            self.cycle.take(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._is_offer:
            return
        self._state = ANSWER
        if self._is_short():
            assert self._shortcut is not None
            self._shortcut.answer(self.cycle, self)
            return
        super().on_message_complete()
        if self.cycle.response_complete:
            self._state, self.since = IDLE, self.loop.time()

    # What the ways say

    def reply(self, exchange: Exchange, data: bytes) -> None:
        exchange.response_complete = True
        if self.transport.is_closing():
            return
        self.transport.write(data)
        if not exchange.keep_alive:
            self.end()
        self.on_response_complete()

    def on_response_complete(self) -> None:
        """As uvicorn has it, without its timer: the door has one for all."""
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        if self._ends_at is not None:
            return
        if self._farewell is not None:
            self.transport.write(self._farewell)
            self.end()
            return
        self.flow.resume_reading()
        if self._state == ANSWER:
            self._state, self.since = IDLE, self.loop.time()

    # Ends

    def _refuse(self, limit: Limit) -> None:
        """Say why, and close; where answers to earlier requests are due, after those."""
        self._door.breaches.note(limit)
        self._is_deaf = True
        if self._owes_an_answer():
            self._farewell = _REFUSALS[limit]
            return
        if self._state != BODY or not self.cycle.response_started:
            self.transport.write(_REFUSALS[limit])
        self.end()

    def end(self) -> None:
        """Close, once the client has had a moment to read what it is told: a socket that is closed with data unread is reset, and the
        answer lost with it."""
        self._is_deaf = True
        if self._state in (IDLE, ANSWER) or self._ends_at is not None or self.transport.is_closing():
            self.transport.close()
            return
        self._ends_at, self._received = self.loop.time() + _LINGER_S, 0
        self.transport.write_eof()
        self.flow.resume_reading()

    def _owes_an_answer(self) -> bool:
        """Whether a request that is complete is being answered."""
        if self.pipeline:
            return True
        return self._state != BODY and self.cycle is not None and not self.cycle.response_complete

    def _is_short(self) -> bool:
        return type(self.cycle) is Exchange

    def _takes_nothing(self, now: float) -> bool:
        unsent = self.transport.get_write_buffer_size()
        if unsent != self._unsent or not unsent:
            self._unsent, self._unsent_since = unsent, now
            return False
        return now - self._unsent_since >= self._door.limits.idle_s


def _is_sent_to(url: bytes, host: Authority) -> bool:
    """Whether a request target is of this host, where it names one."""
    if url.startswith(b"/") or url == b"*":
        return True
    scheme, separator, rest = url.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        return True  # the parser or the router refuses it
    authority = re.split(rb"[/?#]", rest, maxsplit=1)[0]
    return parse_authority(authority.decode("latin-1")) == host


class _CyclesTransport:
    """A connection's transport, as uvicorn's cycle uses it: its `close` is the connection's `end`."""

    __slots__ = ("_connection", "is_closing", "write")

    def __init__(self, connection: BoundedProtocol) -> None:
        self._connection = connection
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing

    def close(self) -> None:
        self._connection.end()
