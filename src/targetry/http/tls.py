"""TLS without I/O: what to send and when to receive, for any stream, with `await` or without.

`ssl` speaks TLS to sockets itself, and the blocking side lets it. Here is TLS for what is not a plain
blocking socket: those of an event loop, and TLS inside of TLS (an `https` target through an `https` proxy).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Generator
from typing import Final, TypeVar

T = TypeVar("T")

CHUNK: Final = 16 * 1024  # read at a time: records that carry no data are dealt with in one go
_MOST_READS: Final = 8

# Yields bytes to be sent, or None when it wants to be sent what was received (b"" at the end of file).
Steps = Generator[bytes | None, bytes | None, T]


class TlsSession:
    """The client's end of one TLS connection."""

    def __init__(self, context: ssl.SSLContext, hostname: str | None) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)

    def handshake(self) -> Steps[None]:
        return self._perform(self.object.do_handshake)

    def write(self, data: bytes) -> Steps[int]:
        """`data` goes out whole: a memory buffer takes everything."""
        return self._perform(lambda: self.object.write(data))

    def read(self, max_bytes: int) -> Steps[bytes]:
        """b"" at the end of file, whether the other side said so or just left; HTTP tells a cut answer from a whole."""
        return self._perform(lambda: self._read(max_bytes))

    def read_now(self, max_bytes: int, receive: Callable[[], bytes | None]) -> bytes | None:
        """Return what can be read without waiting: None for nothing, b"" at the end of file or after an error.

        `receive` gives what has come from below, in the same way. Records without data, such as the tickets that a server
        sends after the handshake, are nothing.
        """
        try:
            for _ in range(_MOST_READS):
                try:
                    return self._read(max_bytes)
                except ssl.SSLWantReadError:
                    received = receive()
                if received is None:
                    return None
                if received:
                    self._incoming.write(received)
                else:
                    self._incoming.write_eof()
        except OSError:  # ssl.SSLError is one
            pass
        return b""

    @property
    def is_http2(self) -> bool:
        """Return whether the two sides have agreed on HTTP/2."""
        return self.object.selected_alpn_protocol() == "h2"

    def _read(self, max_bytes: int) -> bytes:
        try:
            return self.object.read(max_bytes)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def _perform(self, operation: Callable[[], T]) -> Steps[T]:
        while True:
            try:
                result = operation()
            except ssl.SSLWantReadError:
                if self._outgoing.pending:
                    yield self._outgoing.read()
                received = yield None
                if received:
                    self._incoming.write(received)
                else:
                    self._incoming.write_eof()
                continue
            if self._outgoing.pending:
                yield self._outgoing.read()
            return result
