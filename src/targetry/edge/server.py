"""Edge on a port, served by uvicorn: start and graceful shutdown.

uvicorn can be given a layer that bounds connections: `uvicorn.Config` takes any `asyncio.Protocol`
as its `http` class, so `http.connection` stands in front of uvicorn's own protocol. Granian, also
measured, bounds heads by itself but has no place for such a layer; faults and figures of both
are in `docs/edge.md`.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import uvicorn

from targetry.edge.app import EdgeApplication
from targetry.edge.assembly import RunnableEdge, check_edge_options, open_edge
from targetry.edge.http.connection import BoundedConnection
from targetry.edge.http.limits import LONGEST_TIMEOUT_S
from targetry.edge.ofrep.event_streams import EventStreams
from targetry.edge.options import EdgeOptions
from targetry.errors import OptionError

DRAIN_S: Final = 10
_BACKLOG: Final = 1024
_COLLECT_AT: Final = 10_000  # new objects; those of some 200 requests that wait for a commit
_SWITCH_INTERVAL_S: Final = 0.0005  # Python's own 5 ms would be added to a response several times


def _server_config(application: EdgeApplication) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        interface="asgi3",
        http=BoundedConnection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,  # its lines show queries, and with them sessions
        server_header=False,
        proxy_headers=False,  # `x-forwarded-for` is read for locations only
        timeout_keep_alive=LONGEST_TIMEOUT_S,  # `ConnectionRegistry` closes idle connections
        timeout_graceful_shutdown=DRAIN_S,
    )


class EdgeServer:
    """Edge that holds its port.

    Args:
        application: The ASGI application.
        listener: Socket that listens.
        clients: The client codes that are served.
        on_start: Called when `run` is.
        on_close: Called after the last request.
        event_streams: Streams of the application, which end when the server is to stop.
    """

    def __init__(
        self,
        application: EdgeApplication,
        listener: socket.socket,
        *,
        clients: Sequence[str],
        on_start: Callable[[], object] | None = None,
        on_close: Callable[[], object] | None = None,
        event_streams: EventStreams | None = None,
    ) -> None:
        self.application = application
        self.clients = clients
        self.host, self.port = listener.getsockname()[:2]
        self._listener = listener
        self._on_start = on_start
        self._on_close = on_close
        self._server = uvicorn.Server(_server_config(application))
        if event_streams is not None:
            event_streams.is_stopping = lambda: self._server.should_exit

    @classmethod
    def open(cls, options: EdgeOptions, *, log: logging.Logger | None = None) -> EdgeServer:
        """Bind the port and open the parts of an edge.

        Raises:
            OptionError: An option is wrong, or the port cannot be bound.
            ArtifactError: An artifact cannot be loaded.
            LedgerError: The ledger cannot be opened.
        """
        check_edge_options(options)
        listener = listen(options.host, options.port)
        try:
            edge = open_edge(options, log or logging.getLogger("targetry.edge"))
        except BaseException:
            listener.close()
            raise
        return cls.of(edge, listener)

    @classmethod
    def of(cls, edge: RunnableEdge, listener: socket.socket) -> EdgeServer:
        """Return a server of an open edge."""
        return cls(
            edge.application,
            listener,
            clients=edge.clients,
            on_start=edge.start,
            on_close=edge.close,
            event_streams=edge.application.event_streams,
        )

    @property
    def url(self) -> str:
        """URL of the edge for this machine."""
        return url_of(self.host, self.port)

    def run(self) -> None:
        """Serve until `stop`, SIGTERM or SIGINT, then close the parts.

        Requests being served have 10 s to complete.
        """
        try:
            if self._on_start is not None:
                self._on_start()
            with _quiet_end(), _fair_threads(), _rare_collections():
                self._server.run(sockets=[self._listener])
        finally:
            self.close()

    def close(self) -> None:
        """Close the port and the parts, unless `run` has done so."""
        self._listener.close()
        if self._on_close is not None:
            self._on_close()

    def stop(self) -> None:
        """Make `run` end soon; callable from any thread."""
        self._server.should_exit = True


@contextlib.contextmanager
def _quiet_end() -> Iterator[None]:
    """Let the end of uvicorn end `run` only: it raises the signal that stopped it again.

    Threads receive no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _fair_threads() -> Iterator[None]:
    """Let the event loop continue soon while a thread computes.

    The setting is the process's, so it is made in the main thread only.
    """
    before = sys.getswitchinterval()
    if threading.current_thread() is threading.main_thread():
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@contextlib.contextmanager
def _rare_collections() -> Iterator[None]:
    """Exclude the objects that exist now from garbage collection, and collect others more rarely.

    Nearly all belong to imported modules, and a collection of them delays requests by 20 ms. An
    artifact that is replaced has no reference cycles, so its memory is released. Nor does a request
    make cycles, but its objects live until its events are recorded: with Python's own threshold of
    700 objects, collections that find nothing take 8 to 13 µs of a request. The settings are the
    process's, so they are made in the main thread only.
    """
    if threading.current_thread() is not threading.main_thread() or gc.get_freeze_count():
        yield
        return
    threshold, *others = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(threshold and max(threshold, _COLLECT_AT), *others)  # 0 turns collections off
    try:
        yield
    finally:
        gc.set_threshold(threshold, *others)
        gc.unfreeze()


def url_of(host: str, port: int) -> str:
    """Return the URL of an edge."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 selects a free one.

    Raises:
        OptionError: The port cannot be bound.
    """
    try:
        ((family, kind, protocol, _, address), *_) = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # asyncio sets TCP_NODELAY only if the protocol is named; without, a response waits 40 ms.
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        reason = (
            f"{host}:{port} cannot be bound: {error.strerror or error}; stop its user or pass another --port"
        )
        raise OptionError("port", reason) from error
    return listener
