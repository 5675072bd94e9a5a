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
import types
from collections.abc import Coroutine, Generator
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final, TypeVar

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
)
from targetry.http.proxies import ProxyConfigurationError
from targetry.http.sync_sockets import peek
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

T = TypeVar("T")

_NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
_NO_HEADERS: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
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
        self._route = route
        self._connector = _SingleConnector(origin, route, resolver)
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_NO_HEADERS,
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
        try:
            reader = await _run_guarded(self._exchange(request, deadline, max_bytes), connector)
        except aiohttp.ClientError as error:
            if connector.guard is not None and (cause := connector.guard.cause) is not None:
                raise cause from error
            raise
        assert connector.guard is not None
        connector.guard.end_response()
        return reader

    async def _exchange(
        self, request: WireRequest, deadline: Deadline, max_bytes: int | None
    ) -> ResponseReader:
        headers, proxy = request.headers, self._route.proxy
        proxy_url = proxy_headers = None
        if proxy is not None:
            proxy_url = URL(str(proxy))
            if proxy.user is not None or proxy.password is not None:
                pair = f"{proxy.user or ''}:{proxy.password or ''}".encode("utf-8", "surrogatepass")
                proxy_headers = {"Proxy-Authorization": "Basic " + base64.b64encode(pair).decode()}
                if request.scheme == "http":
                    headers = {**headers, **proxy_headers}
        body: Any = request.body
        if body is not None and len(body) > _STREAMED_BYTES:
            body = io.BytesIO(body)
        response = await self._session.request(
            request.method,
            URL(request.url, encoded=True),
            headers=headers,
            data=body,
            allow_redirects=False,
            proxy=proxy_url,
            proxy_headers=proxy_headers,
            ssl=self._route.tls or True,
        )
        try:
            reader = ResponseReader(response.status, response.reason, response.raw_headers, max_bytes)
            content = response.content
            assert self._connector.guard is not None
            self._connector.guard.start_body(_body_length(response))
            while piece := await content.readany():
                for step, _ in enumerate(reader.feed(piece)):
                    if step and deadline.should_yield():
                        await asyncio.sleep(0)
        except BaseException:
            response.close()
            raise
        return reader

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
        self._head = HeadLimits()
        self._length: int | None = None  # of the body still to come
        self._held = b""
        self._waiting: asyncio.Future[Any] | None = None  # what its task waits for
        transport.set_protocol(self)

    def start_request(self, deadline: Deadline) -> None:
        """Expect a response from now on."""
        self._state = _State.HEAD
        self._deadline = deadline
        self._head = HeadLimits()

    def start_body(self, length: int | None) -> None:
        """Pass the body on: `length` bytes, or None if only aiohttp finds its end."""
        self._state = _State.BODY
        self._length = length
        held, self._held = self._held, b""
        if held:
            self._pass(held)

    def end_response(self) -> None:
        """Expect nothing from now on: the response is complete."""
        self._state = _State.IDLE
        self._waiting = None
        self._has_surplus = self._has_surplus or bool(self._held)

    def wait_for(self, future: asyncio.Future[Any] | None) -> bool:
        """Note what the request waits for; return whether a byte held back has completed it.

        None stands for a task that only lets others run, and needs no bytes.
        """
        self._waiting = future
        if self._held:
            self._pass_last()
            return future is not None and future.done()
        return False

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
        if data:
            self._protocol.data_received(data)
        self._pass_last()

    def _pass_last(self) -> None:
        """Pass the byte held back on, if the request waits and the length is not known."""
        is_waiting = self._waiting is not None and not self._waiting.done()
        if self._held and is_waiting and self._length is None and self._state is _State.BODY:
            held, self._held = self._held, b""
            self._protocol.data_received(held)

    def _pass_rest(self) -> None:
        """Pass everything on before the end of the connection, which cannot be reused anyway."""
        if self._state is _State.BODY_UNKNOWN or (self._state is _State.BODY and self._length is None):
            held, self._held = self._held, b""
            if held:
                self._protocol.data_received(held)


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
        guard.start_request(deadline)
        return connection

    def interrupt(self) -> None:
        """Note how far the request has come, before what it waits for is cancelled."""
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


@types.coroutine
def _run_guarded(coroutine: Coroutine[Any, Any, T], connector: _SingleConnector) -> Generator[Any, Any, T]:
    """Run `coroutine`, and note in the guard of its connection each future that it waits for."""
    thrown: BaseException | None = None
    while True:
        try:
            waiting = coroutine.send(None) if thrown is None else coroutine.throw(thrown)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            thrown = None
        if connector.guard is not None and connector.guard.wait_for(waiting):
            continue
        try:
            yield waiting
        except BaseException as error:
            connector.interrupt()
            thrown = error


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
