"""HTTP transports: blocking on httpcore2, asynchronous on aiohttp.

The libraries speak HTTP on a connection. This package adds what they lack: one deadline for the
whole request (`deadline`), a connection pool that never passes a response to another request
(`pool`, `inbound`), name lookups that a caller can give up (`resolver`), the route to a host
(`connector`, `proxies`, `tls`), and the translation of requests, responses and errors
(`translation`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from targetry.http.protocol import AsyncTransport, HttpRequest, HttpResponse, Transport
from targetry.http.sync_transport import HttpTransport

if TYPE_CHECKING:
    from targetry.http.async_transport import AsyncHttpTransport

__all__ = [
    "AsyncHttpTransport",
    "AsyncTransport",
    "HttpRequest",
    "HttpResponse",
    "HttpTransport",
    "Transport",
]


def __getattr__(name: str) -> Any:
    """Import `AsyncHttpTransport` at first use, since it imports asyncio."""
    if name != "AsyncHttpTransport":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from targetry.http.async_transport import AsyncHttpTransport

    return AsyncHttpTransport
