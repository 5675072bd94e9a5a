"""Server whose responses never end."""

from __future__ import annotations

import socket
import ssl
import zlib

from servers.faulty import RequestReader
from servers.threaded import ThreadedServer

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
_CHUNKED = _HEAD + b"transfer-encoding: chunked\r\n"


def _gzipped_zeros() -> tuple[bytes, bytes]:
    """Return the start of a gzip stream, and 64 kB of the stream that expand to 64 MiB."""
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    start = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return start, piece * 64


_GZIP_START, _GZIP_PIECE = _gzipped_zeros()
_EMPTY_MEMBER = zlib.compressobj(wbits=zlib.MAX_WBITS | 16).flush()

# name → the bytes sent once, and the bytes sent repeatedly
FLOODS: dict[str, tuple[bytes, bytes]] = {
    "interim-responses": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2000),
    "header-lines": (_HEAD, b"x: y\r\n" * 5000),
    "one-header": (_HEAD + b"x: ", b"y" * 65536),
    "empty-lines": (b"", b"\r\n" * 5000),
    "chunks-of-a-byte": (_CHUNKED + b"\r\n", b"1\r\n \r\n" * 5000),
    "chunk-extension": (_CHUNKED + b"\r\n1;", b"x" * 65536),
    "chunk-extensions": (_CHUNKED + b"\r\n", b"1;a=b;c=d\r\n \r\n" * 3000),
    "trailers": (_CHUNKED + b"\r\n0\r\n", b"x: y\r\n" * 5000),
    "endless-body": (_HEAD + b"\r\n", b" " * 65536),
    "gzip-expansion": (_HEAD + b"content-encoding: gzip\r\n\r\n" + _GZIP_START, _GZIP_PIECE),
    "gzip-members": (_HEAD + b"content-encoding: gzip\r\n\r\n", _EMPTY_MEMBER * 2000),
}


class Flood(ThreadedServer):
    """A server that responds with `start`, then `piece` repeatedly, in sends of `size` bytes."""

    def __init__(
        self, start: bytes, piece: bytes, *, size: int = 1 << 20, tls: ssl.SSLContext | None = None
    ) -> None:
        self._start_with, self._piece, self._size = start, piece, size
        super().__init__(tls)

    def serve(self, sock: socket.socket, number: int) -> None:
        if RequestReader(sock).read() is None:
            return
        sock.sendall(self._start_with)
        while not self.stopping.is_set():
            for start in range(0, len(self._piece), self._size):
                sock.sendall(self._piece[start : start + self._size])
