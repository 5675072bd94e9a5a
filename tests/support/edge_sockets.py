"""An edge on a port, with given limits, and clients that are plain sockets."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from support.edge import HERO, QUERY
from targetry.edge.app import Edge, edge_app
from targetry.edge.fast_path import Shortcut
from targetry.edge.http.limits import Limits
from targetry.edge.in_process import MemoryLedger, _Payload
from targetry.edge.server import EdgeServer, listen
from targetry.samples import shop_path

PATIENCE_S = 10.0
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"


class OpenEdge:
    """A running server; `edge` is the edge that it serves."""

    def __init__(self, server: EdgeServer, edge: Edge, thread: threading.Thread) -> None:
        self.server, self.port, self.edge, self.thread = server, server.port, edge, thread

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self.server._server.servers[0].get_loop()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)

    def said(self, *parts: bytes) -> bytes:
        """Send bytes; return all that the edge answers until it closes the connection."""
        with self.connect() as connection:
            for part in parts:
                connection.sendall(part)
            return until_closed(connection)

    def is_serving(self) -> bool:
        """Return whether a new client is answered."""
        return '"ok"' in self._got("/healthz")

    def metrics(self) -> str:
        return self._got("/metrics")

    def _got(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE_S) as answer:
            text: str = answer.read().decode()
            return text

    def ended(self, limit: str) -> int:
        """Return how often the edge reached a limit, by its metrics."""
        found = self.edge.metrics.registry.get_sample_value("targetry_edge_limits_total", {"limit": limit})
        return int(found or 0)

    def connections(self) -> int:
        return int(self.edge.metrics.registry.get_sample_value("targetry_edge_connections") or 0)


@contextmanager
def open_edge(
    limits: Limits = Limits(),  # noqa: B008  it is immutable
    *,
    ledger: Any = None,
    artifact: Any = None,
    has_shortcut: bool = True,
    app: Callable[[Edge], Any] = edge_app,
    **options: Any,
) -> Iterator[OpenEdge]:
    """Serve the sample shop on a free port, as long as the `with` block lasts."""
    payload = _Payload(artifact if artifact is not None else shop_path(), None)
    edge = Edge(payload, ledger=ledger if ledger is not None else MemoryLedger(), limits=limits, **options)
    server = EdgeServer(
        app(edge),
        listen("127.0.0.1", 0),
        clients=["acme"],
        on_start=lambda: None,
        on_close=edge.notes.flush,
        door=edge.door,
        shortcut=Shortcut(edge) if has_shortcut else None,
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield OpenEdge(server, edge, thread)
    finally:
        server.stop()
        thread.join(PATIENCE_S)
    assert not thread.is_alive()


@contextmanager
def many(here: OpenEdge, count: int) -> Iterator[list[socket.socket]]:
    """Open so many connections."""
    with ExitStack() as stack:
        yield [stack.enter_context(here.connect()) for _ in range(count)]


def until_closed(connection: socket.socket) -> bytes:
    answered = b""
    while chunk := connection.recv(1 << 20):
        answered += chunk
    return answered


def one_answer(connection: socket.socket) -> bytes:
    """Read the next response, with the length that its head gives."""
    answered = b""
    while b"\r\n\r\n" not in answered:
        answered += connection.recv(1 << 16) or _closed(answered)
    head, _, body = answered.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
    while len(body) < length:
        body += connection.recv(1 << 16) or _closed(body)
    assert len(body) == length, "more came than one answer"
    return head + b"\r\n\r\n" + body


def statuses(answered: bytes) -> list[int]:
    return [int(part[:3]) for part in answered.split(b"HTTP/1.1 ")[1:]]


def post(document: Any = HERO, *fields: str, query: str = QUERY) -> bytes:
    """Return a delivery request as bytes."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    more = "".join(f"{field}\r\n" for field in fields)
    head = f"POST /rest/v1/delivery?{query} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


def wait_until(is_so: Callable[[], object], what: str = "what was waited for") -> None:
    """Return once a condition holds; fail when that takes too long."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.005)


def _closed(so_far: bytes) -> bytes:
    raise AssertionError(f"the connection was closed after {so_far[:300]!r}")
