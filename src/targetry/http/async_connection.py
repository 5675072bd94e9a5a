"""Connection of aiohttp, guarded so that no response answers another request.

aiohttp parses whatever arrives on a pooled connection, also between requests and behind a complete
response, and the next request on it receives the response found there. So each connection belongs
to an aiohttp session of its own, is pooled here, and a `ResponseGuard` stands between its asyncio
transport and aiohttp's protocol.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import os
import socket
import ssl
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from targetry.http import translation
from targetry.http.deadline import Deadline
from targetry.http.inbound import (
    MAX_HEAD_LINES,
    EarlyDataError,
    HeadLimits,
    InvalidResponseError,
    peek,
)
from targetry.http.proxies import Proxy, ProxyConfigurationError
from targetry.http.tls import CHUNK_BYTES
from targetry.http.translation import ResponseReader, WireRequest

if TYPE_CHECKING:
    from aiohttp.client import ClientTimeout
    from aiohttp.connector import AddrInfoType, Connection
    from aiohttp.tracing import Trace

    from targetry.errors import TransportError
    from targetry.http.connector import Route
    from targetry.http.pool import Origin
    from targetry.http.resolver import Resolver

_NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
_AUTO_HEADERS: Final = frozenset({"accept", "accept-encoding", "content-type", "user-agent"})
_HANDSHAKE_ERRORS: Final = (ssl.SSLError, ConnectionResetError, ConnectionAbortedError, BrokenPipeError)
_STREAMED_BYTES: Final = 1 << 20  # aiohttp warns of larger bodies that are not streamed
_MAX_LINE_BYTES: Final = 100 * 1024  # of a head; as in httpcore2
_KEEPALIVE_S: Final = 1e6  # never: the pool here closes idle connections


class AsyncConnection:
    """A connection of aiohttp, for the event loop that runs now."""

    def __init__(self, origin: Origin, route: Route, resolver: Resolver) -> None:
        self.idle_since = 0.0
        self._pid = os.getpid()
        self._loop = asyncio.get_running_loop()
        self._tls = route.tls or True
        self._proxy = None if route.proxy is None else URL(str(route.proxy))
        self._proxy_headers = {} if route.proxy is None else _proxy_headers(route.proxy)
        self._connector = _SingleConnector(origin, route, resolver)
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=_NO_TIMEOUT,
            max_line_size=_MAX_LINE_BYTES,
            max_field_size=_MAX_LINE_BYTES,
            max_headers=MAX_HEAD_LINES,
        )

    async def exchange(
        self, request: WireRequest, deadline: Deadline, max_bytes: int | None
    ) -> ResponseReader:
        """Send `request`, connecting if the connection is new, and read the response to its end."""
        connector = self._connector
        connector.deadline = deadline
        deadline.note_progress = connector.note_progress
        try:
            response = await self._request(request)
            assert connector.guard is not None
            try:
                reader = ResponseReader(response.status, response.reason, response.raw_headers, max_bytes)
                connector.guard.start_body(response)
                while piece := await connector.guard.next_piece(response.content):
                    for step, _ in enumerate(reader.feed(piece)):
                        if step and deadline.should_yield():
                            await asyncio.sleep(0)
            except BaseException:
                response.close()
                raise
        except aiohttp.ClientError as error:
            if connector.guard is not None and (cause := connector.guard.cause) is not None:
                raise cause from error
            raise
        connector.guard.end_response()
        return reader

    async def _request(self, request: WireRequest) -> aiohttp.ClientResponse:
        """Send `request` and return its response once the head has arrived."""
        server, headers = request.server, request.headers
        if self._proxy_headers and server.scheme == "http":
            headers = {**headers, **self._proxy_headers}
        path, _, query = request.target.partition("?")
        body: Any = request.body
        if body is not None and len(body) > _STREAMED_BYTES:
            body = io.BytesIO(body)
        return await self._session.request(
            request.method,
            URL.build(
                scheme=server.scheme,
                authority=server.authority,
                path=path,
                query_string=query,
                encoded=True,
            ),
            headers=headers,
            data=body,
            # aiohttp copies all headers to leave some out, so only where it would add one.
            skip_auto_headers=None if headers.keys() >= _AUTO_HEADERS else _AUTO_HEADERS,
            allow_redirects=False,
            proxy=self._proxy,
            proxy_headers=self._proxy_headers,
            ssl=self._tls,
        )

    def is_reusable(self) -> bool:
        guard = self._connector.guard
        return guard is not None and guard.is_reusable()

    def unread(self) -> bytes | None:
        """Return what could be read at once; see `pool.Connection`."""
        guard = self._connector.guard
        return b"" if guard is None else guard.unread()

    def has_surplus(self) -> bool:
        guard = self._connector.guard
        return guard is not None and guard.has_surplus()

    def drop(self) -> None:
        """Close the connection, from any thread, whether or not its event loop still runs.

        In the child of a fork, only its copy of the socket is closed: the rest is shared with the
        parent.
        """
        connector = self._connector
        if os.getpid() != self._pid:
            connector.close_sockets()
            return
        self._session.detach()
        if _running_loop() is self._loop:
            connector.close_now()
        elif self._loop.is_closed():
            connector.close_now()
            connector.close_sockets()
        else:
            connector.shut_down_sockets()
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                self._loop.call_soon_threadsafe(connector.close_now)


class _State(Enum):
    IDLE = auto()  # no request is under way
    HEAD = auto()  # the head of the response is expected
    BODY_UNKNOWN = auto()  # the head is complete, the length of the body not known yet
    BODY = auto()


class ResponseGuard(asyncio.BufferedProtocol):
    """Checks responses between an asyncio transport and the protocol of aiohttp.

    aiohttp receives the head of a response, and then as many bytes as its body has. Where the
    length is not known beforehand, the last byte of every read is held back until aiohttp waits for
    more. Bytes that remain once the response is complete, or arrive while no request is under way,
    are surplus, and end the connection.
    """

    def __init__(self, transport: asyncio.Transport, sock: socket.socket) -> None:
        protocol = transport.get_protocol()
        assert isinstance(protocol, asyncio.Protocol)
        self.transport = transport
        self.cause: Exception | None = None  # why the connection ended, where aiohttp says less
        self._protocol = protocol
        self._sock = sock
        self._is_tls = transport.get_extra_info("ssl_object") is not None
        self._buffer = memoryview(bytearray(CHUNK_BYTES))
        self._has_surplus = False
        # Of the request under way:
        self._state = _State.IDLE
        self._deadline = Deadline(0.0)
        self._method = ""
        self._head = HeadLimits()
        self._length: int | None = None  # of the body still to come
        self._held = b""
        self._awaited: aiohttp.StreamReader | None = None  # the body, while the request waits for more
        transport.set_protocol(self)

    def start_request(self, method: str, deadline: Deadline) -> None:
        """Expect a response from now on."""
        self._state = _State.HEAD
        self._method = method
        self._deadline = deadline
        self._head = HeadLimits()
        self._length = None

    def start_body(self, response: aiohttp.ClientResponse) -> None:
        """Pass the body on, now that aiohttp has read the head of the response."""
        if self._state is _State.BODY:  # it was passed on with the head
            assert response.content_length == self._head.body_length
            return
        self._state = _State.BODY
        self._length = _body_length(response)
        held, self._held = self._held, b""
        if held:
            self._pass(held)

    async def next_piece(self, content: aiohttp.StreamReader) -> bytes:
        """Return the bytes of the body that aiohttp has read, and wait for some; b"" at its end."""
        piece = content.read_nowait()
        if piece or content.at_eof():
            return piece
        self._pass_held()
        self._awaited = content
        try:
            return await content.readany()
        finally:
            self._awaited = None

    def end_response(self) -> None:
        """Expect nothing from now on: the response is complete."""
        self._state = _State.IDLE
        self._has_surplus = self._has_surplus or bool(self._held)

    def is_reusable(self) -> bool:
        """Return whether the connection is open and everything was sent; see `pool.Connection`."""
        return not self.transport.is_closing() and not self.transport.get_write_buffer_size()

    def unread(self) -> bytes | None:
        """Return what could be read at once; see `pool.Connection`.

        With TLS, unread bytes can be a record without data; the connection counts as ended then.
        """
        if self._has_surplus:
            return b"?"
        if self.transport.is_closing():
            return b""
        unread = peek(self._sock)
        return b"" if unread and self._is_tls else unread

    def has_surplus(self) -> bool:
        """Return whether bytes arrived that belong to no response; see `pool.Connection`."""
        return self._has_surplus

    # asyncio.BufferedProtocol

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer of the next read; its size bounds how long aiohttp parses."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Check and pass on the first `nbytes` bytes of the buffer."""
        state = self._state
        if state is _State.IDLE:
            self._has_surplus = True
            self.transport.abort()
            return
        self._deadline.has_received = True
        data = bytes(self._buffer[:nbytes])
        if state is _State.BODY:
            self._pass(data)
        elif state is _State.BODY_UNKNOWN:
            self._held += data
        else:
            self._pass_head(data)

    def eof_received(self) -> bool | None:
        """Pass the end of the stream on."""
        self._pass_rest()
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass the end of the connection on."""
        self._pass_rest()
        if self.cause is None and isinstance(exc, OSError):
            self.cause = exc
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass the state of the write buffer on."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass the state of the write buffer on."""
        self._protocol.resume_writing()

    def _pass_head(self, data: bytes) -> None:
        try:
            end = self._head.feed(data)
        except InvalidResponseError as error:
            self.cause = error
            self.transport.abort()
            return
        if self._head.is_complete:
            length = self._head.body_length
            if length is not None and length == len(data) - end and self._method != "HEAD":
                self._state, self._length = _State.BODY, 0
            else:
                self._state = _State.BODY_UNKNOWN
                data, self._held = data[:end], data[end:]
        self._protocol.data_received(data)

    def _pass(self, data: bytes) -> None:
        """Pass on what of `data` belongs to the body, and hold the rest."""
        if self._length is not None:
            data, self._held = data[: self._length], data[self._length :]
            self._length -= len(data)
        else:
            data, self._held = self._held + data[:-1], data[-1:]
        content = self._awaited
        read_before = 0 if content is None else content.total_bytes
        if data:
            self._protocol.data_received(data)
        if content is not None and content.total_bytes == read_before and not content.is_eof():
            self._pass_held()

    def _pass_held(self) -> None:
        """Pass the byte held back on, if the length of the body is not known."""
        if self._held and self._length is None:
            held, self._held = self._held, b""
            self._protocol.data_received(held)

    def _pass_rest(self) -> None:
        """Pass everything on before the end of the connection, which cannot be reused anyway."""
        if self._state in (_State.BODY_UNKNOWN, _State.BODY):
            self._pass_held()


class _SingleConnector(aiohttp.TCPConnector):
    """A connector that connects once, and guards its connection."""

    def __init__(self, origin: Origin, route: Route, resolver: Resolver) -> None:
        self.deadline = Deadline(0.0)  # of the request under way
        self.guard: ResponseGuard | None = None
        self._origin = origin
        self._route = route
        self._sockets: list[socket.socket] = []
        super().__init__(
            limit=0,
            keepalive_timeout=_KEEPALIVE_S,
            use_dns_cache=False,
            resolver=_AddressResolver(resolver, self),
            socket_factory=self._new_socket,
        )

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: ClientTimeout
    ) -> Connection:
        """Return the guarded connection; open it for the first request.

        Raises `ServerDisconnectedError` where aiohttp would open another, and `EarlyDataError`.
        """
        deadline, guard = self.deadline, self.guard
        if guard is not None and guard.transport.is_closing():
            raise aiohttp.ServerDisconnectedError
        if guard is None:
            proxy, (_, host, port) = self._route.proxy, self._origin
            address = f"{host}:{port}" if proxy is None else f"{proxy.host}:{proxy.port}"
            deadline.phase = f"connecting to {address}"
        try:
            connection = await super().connect(req, traces, timeout)
        except aiohttp.ClientError as error:
            cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else None
            if cause is None or isinstance(cause, _HANDSHAKE_ERRORS):
                self._note_handshake()
            raise
        transport, protocol = connection.transport, connection.protocol
        assert transport is not None
        assert protocol is not None
        has_early_data = False
        if guard is None:
            has_early_data = protocol.should_close  # aiohttp has read something already
            guard = self.guard = ResponseGuard(transport, self._winner(transport))
            has_early_data = has_early_data or bool(guard.unread())
        if guard.transport is not transport or has_early_data:
            connection.close()
            if has_early_data:
                raise EarlyDataError("the server sent bytes before the request")
            raise aiohttp.ServerDisconnectedError
        deadline.phase = "waiting for the response"
        guard.start_request(req.method, deadline)
        return connection

    def note_progress(self) -> None:
        """Note how far the request has come, before its deadline ends it."""
        if self.guard is not None:
            if self.guard.transport.get_write_buffer_size():
                self.deadline.phase = "sending the request"
        elif any(map(_is_connected, self._sockets)):
            self._note_handshake()

    def close_now(self) -> None:
        """Close the connection, in the thread of the event loop or after the loop's end."""
        if self.guard is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self.guard.transport.abort()
        closing = self.close().__await__()
        with contextlib.suppress(StopIteration):
            closing.send(None)  # closes everything; what is left is to wait for it

    def shut_down_sockets(self) -> None:
        """End the connection for the server while an event loop elsewhere still owns it."""
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close_sockets(self) -> None:
        for sock in self._sockets:
            sock.close()

    def _new_socket(self, address: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, _ = address
        sock = socket.socket(family, kind, protocol)
        self._sockets.append(sock)
        return sock

    def _winner(self, transport: asyncio.Transport) -> socket.socket:
        """Return the socket that connected first, and forget the others."""
        number = transport.get_extra_info("socket").fileno()
        self._sockets = [sock for sock in self._sockets if sock.fileno() == number]
        return self._sockets[0]

    def _note_handshake(self) -> None:
        if self._route.tls is not None:
            has_proxy = self._route.proxy is not None
            self.deadline.phase = "opening a tunnel through the proxy" if has_proxy else "negotiating TLS"


class _AddressResolver(AbstractResolver):
    """The transport's resolver in the terms of aiohttp."""

    def __init__(self, resolver: Resolver, connector: _SingleConnector) -> None:
        self._resolver = resolver
        self._connector = connector

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of `host`; see `Resolver.addresses_async`."""
        deadline = self._connector.deadline
        deadline.phase = f"looking up {host}"
        addresses = await self._resolver.addresses_async(host, port, deadline.left())
        if not addresses:
            raise OSError("its name has no address")
        deadline.phase = f"connecting to {host}:{port}"
        return [
            {
                "hostname": host,
                "host": address[0],
                "port": address[1],
                "family": kind,
                "proto": protocol,
                "flags": 0,
            }
            for kind, _, protocol, _, address in addresses
        ]

    async def close(self) -> None:
        """Close nothing: the resolver is shared."""


def _proxy_headers(proxy: Proxy) -> dict[str, str]:
    if proxy.user is None and proxy.password is None:
        return {}
    pair = f"{proxy.user or ''}:{proxy.password or ''}".encode("utf-8", "surrogatepass")
    return {"Proxy-Authorization": "Basic " + base64.b64encode(pair).decode()}


def _body_length(response: aiohttp.ClientResponse) -> int | None:
    """Return the length of the body that follows, None if the head does not say it."""
    if response.content.at_eof():
        return 0
    return None if "Transfer-Encoding" in response.headers else response.content_length


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _is_connected(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


def was_stale(error: Exception, deadline: Deadline) -> bool:
    """Return whether the request may be repeated; see `translation.was_stale`."""
    return translation.was_stale(
        error, deadline, is_disconnect=isinstance(error, aiohttp.ClientConnectionError)
    )


def transport_error(error: Exception, deadline: Deadline, origin: str, timeout_s: float) -> TransportError:
    """Return the error for the caller; see `translation.transport_error`."""
    root: Exception = error
    reason: str | None = None
    match error:
        case aiohttp.ClientConnectorCertificateError():
            root = error.certificate_error
        case aiohttp.ClientConnectorError():
            root = error.os_error
        case aiohttp.ClientHttpProxyError():
            reason = f"the proxy refused: {error.status} {error.message}"
        case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError() | aiohttp.ServerDisconnectedError():
            reason = translation.NOT_HTTP
        case ProxyConfigurationError():  # a ValueError too
            pass
        case ValueError() if not deadline.phase.startswith("looking up"):  # a UnicodeError of the name is one
            reason = translation.CANNOT_BE_SENT
        case _:
            pass
    return translation.transport_error(root, deadline, origin, timeout_s, reason)
