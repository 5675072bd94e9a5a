"""The sockets under httpcore2 for an event loop. The asyncio twin of `sockets`.

No read or write here has a timeout of its own: the caller puts one around the whole, and cancellation ends whatever
is waited for. The sockets are ours rather than the loop's transports, so they can be closed when the loop is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import httpcore2

from targetry.http.deadline import Attempt, attempt_of
from targetry.http.errors import UnusableError
from targetry.http.inbound import Inbound
from targetry.http.resolver import Address, Resolver
from targetry.http.sync_sockets import peek
from targetry.http.tls import CHUNK, Steps, T, TlsSession
from targetry.http.write_buffer import Unsent


class AsyncNetwork(httpcore2.AsyncNetworkBackend):
    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> AsyncStream:
        attempt = attempt_of(timeout)
        attempt.doing = f"looking up {host}"
        addresses = await self._resolver.addresses_async(host, port, attempt.left())
        attempt.doing = f"connecting to {host}:{port}"
        stream = AsyncStream(await _connected(addresses, attempt))
        attempt.opened = stream
        return stream


async def _connected(addresses: Sequence[Address], attempt: Attempt) -> socket.socket:
    """Connect to the first address that answers. Each gets an equal share of what time is left."""
    loop = asyncio.get_running_loop()
    for remaining in range(len(addresses), 0, -1):
        family, kind, protocol, _, address = addresses[-remaining]
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            async with asyncio.timeout(attempt.left() / remaining):
                await loop.sock_connect(sock, address)
        except BaseException as error:
            sock.close()
            if remaining > 1 and isinstance(error, OSError):
                continue
            raise
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock
    raise OSError("its name has no address")


async def let_others_run(attempt: Attempt) -> None:
    """Give the loop's other tasks their turn, if it is due. Raises `TimeoutError` when the deadline has passed."""
    if attempt.should_yield():
        await asyncio.sleep(0)


class AsyncStream(httpcore2.AsyncNetworkStream):
    """One TCP connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._unsent = Unsent()
        self._inbound: Inbound | None = Inbound()  # None where what is read is not HTTP/1.1

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        attempt = attempt_of(timeout)
        if self._unsent.size:
            # As httpcore2 does: where the request does not get through there may be an answer all the same.
            with contextlib.suppress(httpcore2.WriteError):
                await self._send(self._unsent.take(), attempt)
        inbound = self._inbound
        if inbound is not None and (held := inbound.take()):
            return held
        await let_others_run(attempt)
        data = await self._loop.sock_recv(self._sock, max_bytes)
        if data:
            attempt.heard = True
        return data if inbound is None else inbound.accept(data)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        attempt = attempt_of(timeout)
        attempt.doing = "waiting for the answer"
        if self._unsent.add(buffer):
            await self._send(self._unsent.take(), attempt)

    async def _send(self, buffer: bytes, attempt: Attempt) -> None:
        doing, attempt.doing = attempt.doing, "sending the request"
        if self._inbound is not None:
            self._inbound.before_send(buffer, self.unread, attempt)
        try:
            await self._loop.sock_sendall(self._sock, buffer)
        except OSError as error:
            if self._inbound is not None:
                self._inbound.spoil()
            raise httpcore2.WriteError(error) from error
        attempt.doing = doing

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> AsyncTlsStream:
        return await secured(self, ssl_context, server_hostname, attempt_of(timeout))

    def get_extra_info(self, info: str) -> Any:
        return self.unread() is not None if info == "is_readable" else None

    def carry_tls(self) -> None:
        """As `Stream.carry_tls`."""
        if self.has_surplus():
            raise UnusableError("the proxy sent bytes before it was asked")
        self._inbound = None

    def has_surplus(self) -> bool:
        """See `kept.Socket`."""
        return self._inbound is not None and self._inbound.has_surplus

    def unread(self) -> bytes | None:
        """See `kept.Socket`."""
        return peek(self._sock)

    def receive_now(self, max_bytes: int) -> bytes | None:
        """As `Stream.receive_now`."""
        try:
            return self._sock.recv(max_bytes)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def drop(self) -> None:
        self._sock.close()

    async def aclose(self) -> None:
        self._sock.close()


class LowerStream(Protocol):
    """What TLS is put on: `AsyncStream`, or `AsyncTlsStream` itself."""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes: ...
    async def write(self, buffer: bytes, timeout: float | None = None) -> None: ...
    async def aclose(self) -> None: ...
    def get_extra_info(self, info: str) -> Any: ...
    def carry_tls(self) -> None: ...
    def unread(self) -> bytes | None: ...
    def receive_now(self, max_bytes: int) -> bytes | None: ...
    def drop(self) -> None: ...


async def secured(
    lower: LowerStream, context: ssl.SSLContext, hostname: str | None, attempt: Attempt
) -> AsyncTlsStream:
    """Put TLS on `lower`; when that fails, close it."""
    try:
        lower.carry_tls()
        stream = AsyncTlsStream(lower, TlsSession(context, hostname))
        await stream.handshake(attempt)
    except BaseException:
        await lower.aclose()
        raise
    attempt.opened = stream
    return stream


class AsyncTlsStream(httpcore2.AsyncNetworkStream):
    """TLS over a stream, which may have TLS itself."""

    def __init__(self, lower: LowerStream, session: TlsSession) -> None:
        self._lower = lower
        self._session = session
        self._inbound: Inbound | None = None

    async def handshake(self, attempt: Attempt) -> None:
        await self._run(self._session.handshake(), attempt, doing="agreeing on TLS")
        self._inbound = None if self._session.is_http2 else Inbound()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        inbound = self._inbound
        if inbound is not None and (held := inbound.take()):
            return held
        await let_others_run(attempt_of(timeout))
        data = await self._run(self._session.read(max_bytes), timeout)
        return data if inbound is None else inbound.accept(data)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return
        if self._inbound is not None:
            self._inbound.before_send(buffer, self.unread, attempt_of(timeout))
        await self._run(self._session.write(buffer), timeout)

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> AsyncTlsStream:
        return await secured(self, ssl_context, server_hostname, attempt_of(timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._session.object if info == "ssl_object" else self._lower.get_extra_info(info)

    def carry_tls(self) -> None:
        """As `Stream.carry_tls`."""
        if self.has_surplus():
            raise UnusableError("the proxy sent bytes before it was asked")
        self._inbound = None

    def has_surplus(self) -> bool:
        """See `kept.Socket`."""
        return self._inbound is not None and self._inbound.has_surplus

    def unread(self) -> bytes | None:
        """As `Stream.unread`."""
        if self._inbound is None:
            return b"" if self._lower.unread() is not None else None
        return self.receive_now(1)

    def receive_now(self, max_bytes: int) -> bytes | None:
        """As `Stream.receive_now`."""
        return self._session.read_now(max_bytes, lambda: self._lower.receive_now(CHUNK))

    def drop(self) -> None:
        self._lower.drop()

    async def aclose(self) -> None:
        await self._lower.aclose()

    async def _run(self, steps: Steps[T], timeout: float | None, doing: str | None = None) -> T:
        received: bytes | None = None
        try:
            while True:
                outgoing = steps.send(received)
                received = None
                if outgoing is None:
                    received = await self._lower.read(CHUNK, timeout)
                else:
                    await self._lower.write(outgoing, timeout)
                if doing:
                    attempt_of(timeout).doing = doing
        except StopIteration as done:
            result: T = done.value
            return result
