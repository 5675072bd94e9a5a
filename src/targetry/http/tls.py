"""TLS: the trust store of a transport, and TLS without I/O for TLS within TLS.

Python's `ssl` wraps a blocking socket by itself, but not a socket that carries TLS already, as is
needed for an `https` target through an `https` proxy.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Generator
from typing import Final, TypeVar

from targetry._runtime.lazy_import import importing
from targetry.errors import OptionError

T = TypeVar("T")

CHUNK_BYTES: Final = 16 * 1024  # read at a time: records that carry no data are processed in one go
_MAX_READS: Final = 8

# Yields bytes to send, or None to be sent the bytes received (b"" at the end of file).
TlsSteps = Generator[bytes | None, bytes | None, T]


def authorities(ca_bundle: str | os.PathLike[str]) -> ssl.SSLContext:
    """Return a context that trusts the authorities in `ca_bundle`. Raises `OptionError`."""
    try:
        return ssl.create_default_context(cafile=ca_bundle)
    except OSError as error:  # ssl.SSLError is one
        is_malformed = isinstance(error, ssl.SSLError)
        reason = "is not a file of certificates in PEM form" if is_malformed else error.strerror
        raise OptionError("ca_bundle", f"{os.fspath(ca_bundle)!r}: {reason}") from error


def client_context(ca_bundle: str | os.PathLike[str] | None, *, trust_env: bool) -> ssl.SSLContext:
    """Return a context that checks certificates and host names.

    Authorities are those of `ca_bundle`, or of the platform's trust store.

    Raises:
        OptionError: `ca_bundle` cannot be read.
        OSError: The platform's trust store, or the file that the environment names, cannot be read.
    """
    with importing():
        import httpx2

    context = (
        authorities(ca_bundle) if ca_bundle is not None else httpx2.create_ssl_context(trust_env=trust_env)
    )
    context.set_alpn_protocols(["http/1.1"])
    return context


class TlsSession:
    """The client's end of one TLS connection."""

    def __init__(self, context: ssl.SSLContext, hostname: str | None) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)

    def handshake(self) -> TlsSteps[None]:
        return self._perform(self.object.do_handshake)

    def write(self, data: bytes) -> TlsSteps[int]:
        """Write all of `data`: a memory buffer accepts everything."""
        return self._perform(lambda: self.object.write(data))

    def read(self, max_bytes: int) -> TlsSteps[bytes]:
        """Read up to `max_bytes`; b"" at the end of file, with or without a `close_notify`.

        HTTP itself distinguishes a complete response from a truncated one.
        """
        return self._perform(lambda: self._read(max_bytes))

    def read_now(self, max_bytes: int, receive: Callable[[], bytes | None]) -> bytes | None:
        """Return what can be read at once: None for nothing, b"" at the end or after an error.

        `receive` returns encrypted bytes in the same way. Records without data, such as the session
        tickets that a server sends after the handshake, count as nothing.
        """
        try:
            for _ in range(_MAX_READS):
                try:
                    return self._read(max_bytes)
                except ssl.SSLWantReadError:
                    received = receive()
                if received is None:
                    return None
                self._feed(received)
        except OSError:  # ssl.SSLError is one
            pass
        return b""

    def _feed(self, received: bytes | None) -> None:
        if received:
            self._incoming.write(received)
        else:
            self._incoming.write_eof()

    def _read(self, max_bytes: int) -> bytes:
        try:
            return self.object.read(max_bytes)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def _perform(self, operation: Callable[[], T]) -> TlsSteps[T]:
        while True:
            try:
                result = operation()
            except ssl.SSLWantReadError:
                if self._outgoing.pending:
                    yield self._outgoing.read()
                self._feed((yield None))
                continue
            if self._outgoing.pending:
                yield self._outgoing.read()
            return result
