"""An edge on a port with given limits, and socket clients for it."""

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
from targetry.edge.app import Edge, EdgeApplication
from targetry.edge.http.limits import Limits
from targetry.edge.in_process import GivenArtifact, MemoryLedger
from targetry.edge.server import EdgeServer, listen
from targetry.samples import shop_path

PATIENCE_S = 60.0  # reached by a failure only; a busy machine takes long to start a process
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"


class OpenEdge:
    """A running server of `edge`."""

    def __init__(
        self, server: EdgeServer, edge: Edge, thread: threading.Thread, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.server, self.port, self.edge, self.thread, self.loop = server, server.port, edge, thread, loop

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)

    def send_and_read(self, *parts: bytes) -> bytes:
        """Send bytes, and return all bytes received until the edge closes the connection."""
        with self.connect() as connection:
            for part in parts:
                connection.sendall(part)
            return read_until_closed(connection)

    def is_serving(self) -> bool:
        """Return whether a new client gets a response."""
        return '"ok"' in self._got("/healthz")

    def metrics(self) -> str:
        return self._got("/metrics")

    def _got(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE_S) as answer:
            text: str = answer.read().decode()
            return text

    def times_reached(self, limit: str) -> int:
        """Return the metric that counts how often a limit was reached."""
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
    application: Callable[[Edge], Any] = EdgeApplication,
    **options: Any,
) -> Iterator[OpenEdge]:
    """Serve the sample shop on a free port, as long as the `with` block lasts."""
    source = GivenArtifact(artifact if artifact is not None else shop_path(), None)
    edge = Edge(source, ledger=ledger if ledger is not None else MemoryLedger(), limits=limits, **options)
    loops: list[asyncio.AbstractEventLoop] = []
    server = EdgeServer(
        LoopRecorder(application(edge), loops),
        listen("127.0.0.1", 0),
        clients=["acme"],
        on_close=edge.access_log.flush,
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_until(lambda: loops)
        yield OpenEdge(server, edge, thread, loops[0])
    finally:
        server.stop()
        thread.join(PATIENCE_S)
    assert not thread.is_alive()


class LoopRecorder:
    """Application that records the event loop of its server."""

    def __init__(self, application: Any, loops: list[asyncio.AbstractEventLoop]) -> None:
        self._application = application
        self._loops = loops

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            self._loops.append(asyncio.get_running_loop())
        await self._application(scope, receive, send)


@contextmanager
def open_connections(here: OpenEdge, count: int) -> Iterator[list[socket.socket]]:
    """Open `count` connections."""
    with ExitStack() as stack:
        yield [stack.enter_context(here.connect()) for _ in range(count)]


def read_until_closed(connection: socket.socket) -> bytes:
    answered = b""
    while chunk := connection.recv(1 << 20):
        answered += chunk
    return answered


def read_response(connection: socket.socket) -> bytes:
    """Read the next response, whose length is in its head."""
    answered = b""
    while b"\r\n\r\n" not in answered:
        answered += connection.recv(1 << 16) or _closed(answered)
    head, _, body = answered.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
    while len(body) < length:
        body += connection.recv(1 << 16) or _closed(body)
    assert len(body) == length, "more than one response was received"
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
    """Wait until a condition holds; fail after a time limit."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.005)


def _closed(so_far: bytes) -> bytes:
    raise AssertionError(f"the connection was closed after {so_far[:300]!r}")
