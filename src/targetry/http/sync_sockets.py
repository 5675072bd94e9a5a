"""The sockets under httpcore2, blocking: each wait lasts at most as long as the `Attempt` has left.

What goes wrong leaves here as it came (`OSError`, `ssl.SSLError`, `TimeoutError`) and is translated by
`exchange.failure`; only a failing write is httpcore2's own error, which makes it look for an answer that was sent early.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from collections.abc import Iterable, Sequence
from typing import Any

import httpcore2

from targetry.http.deadline import Attempt, attempt_of
from targetry.http.errors import UnusableError
from targetry.http.inbound import Inbound
from targetry.http.resolver import Address, Resolver
from targetry.http.tls import CHUNK, Steps, T, TlsSession
from targetry.http.write_buffer import Unsent


class Network(httpcore2.NetworkBackend):
    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> Stream:
        attempt = attempt_of(timeout)
        attempt.doing = f"looking up {host}"
        addresses = self._resolver.addresses(host, port, attempt.left())
        attempt.doing = f"connecting to {host}:{port}"
        stream = Stream(_connected(addresses, attempt))
        attempt.opened = stream
        return stream


def _connected(addresses: Sequence[Address], attempt: Attempt) -> socket.socket:
    """Connect to the first address that answers. Each gets an equal share of what time is left."""
    for remaining in range(len(addresses), 0, -1):
        family, kind, protocol, _, address = addresses[-remaining]
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(attempt.left() / remaining)
            sock.connect(address)
        except BaseException as error:
            sock.close()
            if remaining > 1 and isinstance(error, OSError):
                continue
            raise
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock
    raise OSError("its name has no address")


class Stream(httpcore2.NetworkStream):
    """One TCP connection, with TLS on it after `start_tls`."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._unsent = Unsent()
        self._inbound: Inbound | None = Inbound()  # None where what is read is not HTTP/1.1

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        attempt = attempt_of(timeout)
        if self._unsent.size:
            # As httpcore2 does: where the request does not get through there may be an answer all the same.
            with contextlib.suppress(httpcore2.WriteError):
                self._send(self._unsent.take(), attempt)
        inbound = self._inbound
        if inbound is not None and (held := inbound.take()):
            return held
        self._sock.settimeout(attempt.left())
        data = self._sock.recv(max_bytes)
        if data:
            attempt.heard = True
        return data if inbound is None else inbound.accept(data)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        attempt = attempt_of(timeout)
        attempt.doing = "waiting for the answer"
        if self._unsent.add(buffer):
            self._send(self._unsent.take(), attempt)

    def _send(self, buffer: bytes, attempt: Attempt) -> None:
        doing, attempt.doing = attempt.doing, "sending the request"
        if self._inbound is not None:
            self._inbound.before_send(buffer, self.unread, attempt)
        left = memoryview(buffer)
        while left:
            self._sock.settimeout(attempt.left())
            try:
                left = left[self._sock.send(left) :]
            except TimeoutError:
                raise
            except OSError as error:
                if self._inbound is not None:
                    self._inbound.spoil()
                raise httpcore2.WriteError(error) from error
        attempt.doing = doing

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        attempt = attempt_of(timeout)
        attempt.doing = "agreeing on TLS"
        if isinstance(self._sock, ssl.SSLSocket):
            stream = TlsStream(self, ssl_context, server_hostname, attempt)
            attempt.opened = stream
            return stream
        try:
            self.refuse_surplus()
            self._sock.settimeout(attempt.left())
            self._sock = ssl_context.wrap_socket(self._sock, server_hostname=server_hostname)
        except BaseException:
            self.close()
            raise
        self._inbound = None if self._sock.selected_alpn_protocol() == "h2" else Inbound()
        return self

    def refuse_surplus(self) -> None:
        """Raise `UnusableError` when a proxy sent bytes behind its answer to CONNECT."""
        if self.has_surplus():
            raise UnusableError("the proxy sent bytes before it was asked")

    def carry_tls(self) -> None:
        """Hand everything through from now on, to a TLS layer above."""
        self.refuse_surplus()
        self._inbound = None

    def get_extra_info(self, info: str) -> Any:
        if info == "ssl_object":
            return self._sock if isinstance(self._sock, ssl.SSLSocket) else None
        return self.unread() is not None if info == "is_readable" else None

    def has_surplus(self) -> bool:
        """See `kept.Socket`."""
        if self._inbound is None:
            return False
        return self._inbound.has_surplus or (
            isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0
        )

    def unread(self) -> bytes | None:
        """See `kept.Socket`. Of TLS, it may take a byte away; of HTTP/2, any frame counts as the end."""
        if self._inbound is None:
            return b"" if is_readable(self._sock) else None
        if isinstance(self._sock, ssl.SSLSocket):
            return self.receive_now(1)
        return peek(self._sock)

    def receive_now(self, max_bytes: int) -> bytes | None:
        """Return what can be read without waiting: None for nothing, b"" at the end of file or after an error."""
        pending = isinstance(self._sock, ssl.SSLSocket) and self._sock.pending()
        if not pending and not is_readable(self._sock):
            return None
        try:
            self._sock.settimeout(0)
            return self._sock.recv(max_bytes)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError:
            return b""

    def close(self) -> None:
        self._sock.close()

    drop = close


class TlsStream(httpcore2.NetworkStream):
    """TLS over a stream that has TLS already."""

    def __init__(
        self, lower: Stream, context: ssl.SSLContext, hostname: str | None, attempt: Attempt
    ) -> None:
        self._lower = lower
        try:
            lower.carry_tls()
            self._session = TlsSession(context, hostname)
            self._run(self._session.handshake(), attempt)
        except BaseException:
            lower.close()
            raise
        self._inbound = None if self._session.is_http2 else Inbound()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        inbound = self._inbound
        if inbound is not None and (held := inbound.take()):
            return held
        attempt_of(timeout).left()
        data = self._run(self._session.read(max_bytes), timeout)
        return data if inbound is None else inbound.accept(data)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return
        if self._inbound is not None:
            self._inbound.before_send(buffer, self.unread, attempt_of(timeout))
        self._run(self._session.write(buffer), timeout)

    def close(self) -> None:
        self._lower.close()

    drop = close

    def get_extra_info(self, info: str) -> Any:
        return self._session.object if info == "ssl_object" else self._lower.get_extra_info(info)

    def has_surplus(self) -> bool:
        """See `kept.Socket`."""
        return self._inbound is not None and self._inbound.has_surplus

    def unread(self) -> bytes | None:
        """As `Stream.unread`."""
        if self._inbound is None:
            return b"" if self._lower.unread() is not None else None
        return self._session.read_now(1, lambda: self._lower.receive_now(CHUNK))

    def _run(self, steps: Steps[T], timeout: float | None) -> T:
        received: bytes | None = None
        try:
            while True:
                outgoing = steps.send(received)
                received = None
                if outgoing is None:
                    received = self._lower.read(CHUNK, timeout)
                else:
                    self._lower.write(outgoing, timeout)
        except StopIteration as done:
            result: T = done.value
            return result


def is_readable(sock: socket.socket) -> bool:
    """Whether a read would return at once: with data, with the end of file or with an error."""
    if sock.fileno() < 0:
        return True
    if not hasattr(select, "poll"):
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def peek(sock: socket.socket) -> bytes | None:
    """Return the next byte of a plain socket, leaving it there; None for nothing, b"" at the end or after an error."""
    if not is_readable(sock):
        return None
    try:
        return sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return None
    except OSError:
        return b""
