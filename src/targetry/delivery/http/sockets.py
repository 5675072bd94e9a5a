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

from targetry.delivery.http.attempt import Attempt, attempt_of
from targetry.delivery.http.resolver import Address, Resolver
from targetry.delivery.http.tls import Steps, T, TlsSession
from targetry.delivery.http.unsent import Unsent

_CHUNK = 64 * 1024


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

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        attempt = attempt_of(timeout)
        if self._unsent.size:
            # As httpcore2 does: where the request does not get through there may be an answer all the same.
            with contextlib.suppress(httpcore2.WriteError):
                self._send(self._unsent.take(), attempt)
        self._sock.settimeout(attempt.left())
        data = self._sock.recv(max_bytes)
        if data:
            attempt.heard = True
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        attempt = attempt_of(timeout)
        attempt.doing = "waiting for the answer"
        if self._unsent.add(buffer):
            self._send(self._unsent.take(), attempt)

    def _send(self, buffer: bytes, attempt: Attempt) -> None:
        doing, attempt.doing = attempt.doing, "sending the request"
        left = memoryview(buffer)
        while left:
            self._sock.settimeout(attempt.left())
            try:
                left = left[self._sock.send(left) :]
            except TimeoutError:
                raise
            except OSError as error:
                raise httpcore2.WriteError(error) from error
        attempt.doing = doing

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        attempt = attempt_of(timeout)
        attempt.doing = "agreeing on TLS"
        if isinstance(self._sock, ssl.SSLSocket):
            return TlsStream(self, ssl_context, server_hostname, attempt)
        try:
            self._sock.settimeout(attempt.left())
            self._sock = ssl_context.wrap_socket(self._sock, server_hostname=server_hostname)
        except BaseException:
            self.close()
            raise
        return self

    def get_extra_info(self, info: str) -> Any:
        if info == "ssl_object":
            return self._sock if isinstance(self._sock, ssl.SSLSocket) else None
        return self.has_something_to_read() if info == "is_readable" else None

    def has_something_to_read(self) -> bool:
        return is_readable(self._sock)

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
            self._session = TlsSession(context, hostname)
            self._run(self._session.handshake(), attempt)
        except BaseException:
            lower.close()
            raise

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._run(self._session.read(max_bytes), timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if buffer:
            self._run(self._session.write(buffer), timeout)

    def close(self) -> None:
        self._lower.close()

    def get_extra_info(self, info: str) -> Any:
        return self._session.object if info == "ssl_object" else self._lower.get_extra_info(info)

    def _run(self, steps: Steps[T], timeout: float | None) -> T:
        received: bytes | None = None
        try:
            while True:
                outgoing = steps.send(received)
                received = None
                if outgoing is None:
                    received = self._lower.read(_CHUNK, timeout)
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
