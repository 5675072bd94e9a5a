"""Blocking sockets under httpcore2; each wait lasts at most until the `Deadline`.

Errors leave this module as they occurred (`OSError`, `ssl.SSLError`, `TimeoutError`) and become a
`TransportError` in `translation`. Only a failing write becomes httpcore2's own error, after which
it reads a response that was sent early.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, Final

import httpcore2

from targetry.http.deadline import Deadline, deadline_of
from targetry.http.inbound import (
    EarlyDataError,
    Inbound,
    InvalidResponseError,
    StaleConnectionError,
    is_readable,
    peek,
)
from targetry.http.resolver import Address, Resolver
from targetry.http.tls import CHUNK_BYTES, T, TlsSession, TlsSteps

_FULL_BYTES: Final = 64 * 1024  # of a write buffer


class Network(httpcore2.NetworkBackend):
    """Opens the TCP connections of httpcore2."""

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
        deadline = deadline_of(timeout)
        deadline.phase = f"looking up {host}"
        addresses = self._resolver.addresses(host, port, deadline.left())
        deadline.phase = f"connecting to {host}:{port}"
        stream = TcpStream(_connected(addresses, deadline))
        deadline.opened = stream
        return stream


def _connected(addresses: Sequence[Address], deadline: Deadline) -> socket.socket:
    """Connect to the first address that responds. Each gets an equal share of the time left."""
    for remaining in range(len(addresses), 0, -1):
        family, kind, protocol, _, address = addresses[-remaining]
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(deadline.left() / remaining)
            sock.connect(address)
        except BaseException as error:
            sock.close()
            if remaining > 1 and isinstance(error, OSError):
                continue
            raise
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock
    raise OSError("its name has no address")


class WriteBuffer:
    """Write buffer that joins a request's head and body into one packet.

    httpcore2 writes them one by one. Two small packets are twice the work, and where a machine on
    the way holds small packets back until the one before is acknowledged (Nagle's algorithm) the
    second arrives 40 ms late.
    """

    __slots__ = ("_pieces", "size")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0

    def add(self, piece: bytes) -> bool:
        """Add `piece` and return whether the buffer is full."""
        if piece:
            self._pieces.append(piece)
            self.size += len(piece)
        return self.size >= _FULL_BYTES

    def take(self) -> bytes:
        """Return all bytes and empty the buffer."""
        pieces, self._pieces, self.size = self._pieces, [], 0
        return b"".join(pieces)


class Stream(httpcore2.NetworkStream):
    """Stream of one connection that checks the responses on it."""

    def __init__(self) -> None:
        self._inbound: Inbound | None = Inbound()  # None while a TLS layer above reads the stream
        self._is_sending = False
        self._is_spoiled = False

    @abstractmethod
    def unread(self) -> bytes | None:
        """Return what could be read at once: None for nothing, b"" at the end."""

    @abstractmethod
    def drop(self) -> None:
        """Close the connection at once."""

    @abstractmethod
    def _receive(self, max_bytes: int, deadline: Deadline) -> bytes:
        """Read from the connection; b"" at its end."""

    def close(self) -> None:
        self.drop()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        deadline = deadline_of(timeout)
        self._flush(deadline)
        inbound = self._inbound
        if inbound is None:
            return self._receive(max_bytes, deadline)
        self._is_sending = False
        if held := inbound.take_held():
            return held
        data = self._receive(max_bytes, deadline)
        inbound.check(data)
        return inbound.hold(data) if inbound.is_started and len(data) > 1 else data

    def has_surplus(self) -> bool:
        """Return whether the connection is out of step with its requests."""
        return self._inbound is not None and (bool(self._inbound.held) or self._is_spoiled)

    def carry_tls(self) -> None:
        """Pass everything through from now on, to a TLS layer above."""
        if self.has_surplus():
            raise InvalidResponseError("the proxy sent more than its response")
        self._inbound = None

    def _flush(self, deadline: Deadline) -> None:
        """Send what is buffered."""

    def _before_send(self, data: bytes, deadline: Deadline) -> None:
        """Check that nothing arrived before the request of which `data` is about to be sent.

        Raises `EarlyDataError`, or `StaleConnectionError` when a reused connection has ended.
        """
        if self._inbound is None:
            return
        if self._is_sending:
            self._is_spoiled = self._is_spoiled or self.unread() is not None
            return
        if data[:1] < b"A":
            return  # a message of SOCKS begins with its version, 1 or 5; one of HTTP begins with a letter
        arrived = self.unread()
        if arrived:
            raise EarlyDataError("the server sent bytes before the request")
        if arrived == b"" and deadline.opened is None:
            raise StaleConnectionError("the server closed the connection")
        self._inbound.start_response()
        self._is_sending = True


class TcpStream(Stream):
    """A TCP connection, with TLS on it after `start_tls`."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._sock = sock
        self._unsent = WriteBuffer()

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        deadline = deadline_of(timeout)
        deadline.phase = "waiting for the response"
        if self._unsent.add(buffer):
            self._send(self._unsent.take(), deadline)

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        deadline = deadline_of(timeout)
        deadline.phase = "negotiating TLS"
        if isinstance(self._sock, ssl.SSLSocket):
            stream = TlsStream(self, ssl_context, server_hostname, deadline)
            deadline.opened = stream
            return stream
        try:
            self.carry_tls()
            self._sock.settimeout(deadline.left())
            self._sock = ssl_context.wrap_socket(self._sock, server_hostname=server_hostname)
        except BaseException:
            self.close()
            raise
        self._inbound = Inbound()
        return self

    def get_extra_info(self, info: str) -> Any:
        if info == "ssl_object":
            return self._sock if isinstance(self._sock, ssl.SSLSocket) else None
        return self.unread() is not None if info == "is_readable" else None

    def has_surplus(self) -> bool:
        """Return what `Stream.has_surplus` does, decrypted bytes included that were not read."""
        if super().has_surplus():
            return True
        return (
            self._inbound is not None and isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0
        )

    def unread(self) -> bytes | None:
        """Return what `Stream.unread` does; with TLS, the byte returned is consumed."""
        return self.receive_now(1) if isinstance(self._sock, ssl.SSLSocket) else peek(self._sock)

    def receive_now(self, max_bytes: int) -> bytes | None:
        """Return what can be read at once: None for nothing, b"" at the end or after an error."""
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

    def drop(self) -> None:
        self._sock.close()

    def _flush(self, deadline: Deadline) -> None:
        if self._unsent.size:
            # As httpcore2 does: a response can arrive although the request did not get through.
            with contextlib.suppress(httpcore2.WriteError):
                self._send(self._unsent.take(), deadline)

    def _receive(self, max_bytes: int, deadline: Deadline) -> bytes:
        self._sock.settimeout(deadline.left())
        data = self._sock.recv(max_bytes)
        if data:
            deadline.has_received = True
        return data

    def _send(self, buffer: bytes, deadline: Deadline) -> None:
        phase, deadline.phase = deadline.phase, "sending the request"
        self._before_send(buffer, deadline)
        left = memoryview(buffer)
        while left:
            self._sock.settimeout(deadline.left())
            try:
                left = left[self._sock.send(left) :]
            except TimeoutError:
                raise
            except OSError as error:
                self._is_spoiled = True
                raise httpcore2.WriteError(error) from error
        deadline.phase = phase


class TlsStream(Stream):
    """TLS over a stream that has TLS already."""

    def __init__(
        self, lower: TcpStream, context: ssl.SSLContext, hostname: str | None, deadline: Deadline
    ) -> None:
        super().__init__()
        self._lower = lower
        try:
            lower.carry_tls()
            self._session = TlsSession(context, hostname)
            self._run(self._session.handshake(), deadline)
        except BaseException:
            lower.close()
            raise

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if buffer:
            self._before_send(buffer, deadline_of(timeout))
            self._run(self._session.write(buffer), timeout)

    def get_extra_info(self, info: str) -> Any:
        return self._session.object if info == "ssl_object" else self._lower.get_extra_info(info)

    def unread(self) -> bytes | None:
        """Return what `Stream.unread` does; the byte returned is consumed."""
        return self._session.read_now(1, lambda: self._lower.receive_now(CHUNK_BYTES))

    def drop(self) -> None:
        self._lower.drop()

    def _receive(self, max_bytes: int, deadline: Deadline) -> bytes:
        deadline.left()
        return self._run(self._session.read(max_bytes), deadline)

    def _run(self, steps: TlsSteps[T], timeout: float | None) -> T:
        received: bytes | None = None
        try:
            while True:
                outgoing = steps.send(received)
                received = None
                if outgoing is None:
                    received = self._lower.read(CHUNK_BYTES, timeout)
                else:
                    self._lower.write(outgoing, timeout)
        except StopIteration as done:
            result: T = done.value
            return result
