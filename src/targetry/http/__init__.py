"""The default transports, on httpcore2 (the lower half of httpx2).

httpcore2 speaks HTTP on a connection. What is ours is around it: sockets that know a deadline for the whole call
(`attempt`, `sockets`, `async_sockets`, `tls`, `resolver`), which connections are kept (`kept`), the way to a
host (`routes`, `proxies`), and the border to our own requests, answers and errors (`exchange`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from targetry.http.sync_transport import HttpTransport

if TYPE_CHECKING:
    from targetry.http.async_transport import AsyncHttpTransport

__all__ = ["AsyncHttpTransport", "HttpTransport"]


def __getattr__(name: str) -> Any:
    """`AsyncHttpTransport` brings asyncio with it, so it waits until somebody asks for it."""
    if name != "AsyncHttpTransport":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from targetry.http.async_transport import AsyncHttpTransport

    return AsyncHttpTransport
