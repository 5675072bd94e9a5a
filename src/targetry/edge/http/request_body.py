"""Bodies of requests: bounded in size and time, unzipped where they are gzip (RELIABILITY B7)."""

from __future__ import annotations

import asyncio
import zlib
from typing import Final

from starlette.requests import ClientDisconnect, Request

from targetry.edge.http.errors import RequestRejected
from targetry.edge.http.limits import MAX_BODY_BYTES

ZIP_LEVEL: Final = 4
ZIP_IN_THREAD_BYTES: Final = 128 * 1024  # compressing more would hold up other requests

_GZIP: Final = 16 + zlib.MAX_WBITS


async def read_body(request: Request, *, limit: int = MAX_BODY_BYTES, timeout_s: float) -> bytes:
    """The body, at most `limit` bytes before and after unzipping, within `timeout_s` seconds.

    Raises `RequestRejected` (400, 408, 413, 415).
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", ""):
        raise RequestRejected(415, f"content-encoding {encoding!r} is not supported; supported: gzip")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(timeout_s):
            body = await _received(request, limit)
    except TimeoutError:
        raise RequestRejected(408, f"the body did not arrive within {timeout_s:g} s") from None
    except ClientDisconnect:
        raise RequestRejected(400, "the client went away before the end of its body") from None
    return unzipped(body, limit) if encoding == "gzip" else body


async def _received(request: Request, limit: int) -> bytes:
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > limit:
            raise _too_large(limit)
    return bytes(received)


def unzipped(body: bytes, limit: int) -> bytes:
    """Undo gzip, producing no more than `limit` bytes. Raises `RequestRejected`."""
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


def zipped(body: bytes) -> bytes:
    """Return a body as gzip."""
    compressor = zlib.compressobj(ZIP_LEVEL, zlib.DEFLATED, _GZIP)
    return compressor.compress(body) + compressor.flush()


def _too_large(limit: int) -> RequestRejected:
    return RequestRejected(413, f"the body is larger than {limit:,} bytes")
