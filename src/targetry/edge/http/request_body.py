"""Request bodies, bounded in size and time, and gzip in both directions."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from typing import Final

from starlette.types import Receive

from targetry.edge.http.errors import RequestRejected
from targetry.edge.http.limits import MAX_BODY_BYTES

COMPRESSION_LEVEL: Final = 4
COMPRESS_IN_THREAD_BYTES: Final = 128 * 1024  # compressing more would delay other requests

_GZIP: Final = 16 + zlib.MAX_WBITS
_ENCODINGS: Final = frozenset({b"", b"identity", b"gzip"})


async def read_body(
    receive: Receive,
    fields: Mapping[bytes, bytes],
    *,
    limit: int = MAX_BODY_BYTES,
    timeout_s: float,
) -> bytes:
    """Return the body of a request, decompressed.

    Args:
        receive: The ASGI callable.
        fields: The request's header fields.
        limit: Largest size before and after decompression, in bytes.
        timeout_s: Time for the body to arrive, in seconds.

    Raises:
        RequestRejected: 400, 408, 413 or 415.
    """
    is_gzip = _is_gzip(fields)
    declared = fields.get(b"content-length", b"")
    if declared.isdigit() and int(declared[:20]) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(timeout_s):
            body = await _receive(receive, limit)
    except TimeoutError:
        raise RequestRejected(408, f"the body did not arrive within {timeout_s:g} s", "slow") from None
    return decompress(body, limit) if is_gzip else body


def arrived_body(body: bytes, fields: Mapping[bytes, bytes], limit: int = MAX_BODY_BYTES) -> bytes:
    """Return a body that has arrived, decompressed.

    Args:
        body: The whole body.
        fields: The request's header fields.
        limit: Largest size before and after decompression, in bytes.

    Raises:
        RequestRejected: 400, 413 or 415.
    """
    is_gzip = _is_gzip(fields)
    if len(body) > limit:
        raise _too_large(limit)
    return decompress(body, limit) if is_gzip else body


def _is_gzip(fields: Mapping[bytes, bytes]) -> bool:
    """Return whether the body is compressed. Raises `RequestRejected`, 415."""
    encoding = fields.get(b"content-encoding")
    if encoding is None:
        return False
    encoding = encoding.strip().lower()
    if encoding not in _ENCODINGS:
        shown = encoding.decode("latin-1")
        raise RequestRejected(415, f"content-encoding {shown!r} is not supported; supported: gzip")
    return encoding == b"gzip"


async def _receive(receive: Receive, limit: int) -> bytes:
    received = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise RequestRejected(400, "the client closed the connection before the end of its body")
        received += message.get("body", b"")
        if len(received) > limit:
            raise _too_large(limit)
        if not message.get("more_body"):
            return bytes(received)


def decompress(body: bytes, limit: int) -> bytes:
    """Return a gzip body decompressed.

    Raises:
        RequestRejected: 400, it is not gzip; 413, it has more than `limit` bytes.
    """
    unzip = zlib.decompressobj(_GZIP)
    try:
        text = unzip.decompress(body, limit + 1)
    except zlib.error as error:
        raise RequestRejected(400, f"the body is not gzip: {error}") from None
    if len(text) > limit:
        raise _too_large(limit)
    if not unzip.eof:
        raise RequestRejected(400, "the body is not gzip: it ends too early")
    return text


def compress(body: bytes) -> bytes:
    """Return a body as gzip."""
    compressor = zlib.compressobj(COMPRESSION_LEVEL, zlib.DEFLATED, _GZIP)
    return compressor.compress(body) + compressor.flush()


def _too_large(limit: int) -> RequestRejected:
    return RequestRejected(413, f"the body is larger than {limit:,} bytes", "body")
