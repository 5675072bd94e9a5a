"""The edge on a port: its parts put together, started, and stopped without losing what is under way (RELIABILITY 7)."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, cast

import uvicorn

from targetry.delivery.hosts import cluster_number
from targetry.edge.app import Edge, edge_app
from targetry.edge.artifacts.registry import ArtifactRegistry
from targetry.edge.artifacts.watcher import ArtifactWatcher
from targetry.edge.fast_path import Shortcut
from targetry.edge.http.access_policy import AccessPolicy, is_loopback_name
from targetry.edge.http.connection_registry import Door
from targetry.edge.http.fd_limit import room_for
from targetry.edge.http.limits import Limits
from targetry.edge.http.protocol import BoundedProtocol
from targetry.edge.options import EdgeOptions
from targetry.edge.ui.report_cache import ReportCache
from targetry.errors import OptionError
from targetry.geo.maxmind import GeoDatabase
from targetry.ledger.ledger import Ledger
from targetry.ledger.retention import Retention, RetentionTask
from targetry.samples import shop_path

DRAIN_S: Final = 10
_BACKLOG: Final = 1024
_BUSY_S: Final = 1.0  # an SDK waits 3 s for its answer, and a request may come when a turn has just begun
_LONGEST_TIMEOUT_S: Final = 86_400
_SWITCH_INTERVAL_S: Final = 0.0005  # Python's own 5 ms would be added to an answer several times


class EdgeServer:
    """An edge that holds its port. Made by `EdgeServer.open`, runs in `run`, ends after `stop` or a signal."""

    def __init__(
        self,
        app: Any,
        listener: socket.socket,
        *,
        clients: Sequence[str],
        on_start: Callable[[], object],
        on_close: Callable[[], object],
        on_tick: Callable[[], object] | None = None,
        door: Door | None = None,
        shortcut: Shortcut | None = None,
    ) -> None:
        """`clients`: the client codes that are served. `on_start` is called when `run` is, `on_close` after the last request, `on_tick`
        by the event loop about once a second. `door` has the limits of connections, `shortcut` is the way of plain requests past `app`."""
        protocol = partial(BoundedProtocol, door or Door.usual(), shortcut)
        self.clients = clients
        self._on_start = on_start
        self._on_close = on_close
        self._listener = listener
        self.host, self.port = listener.getsockname()[:2]
        config = uvicorn.Config(
            app,
            interface="asgi3",
            http=cast("Any", protocol),  # it makes what the class would
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # `places` reads them by itself
            timeout_graceful_shutdown=DRAIN_S,
            callback_notify=None if on_tick is None else _awaitable(on_tick),
            timeout_notify=1,
        )
        self._server = uvicorn.Server(config)

    @classmethod
    def open(
        cls, options: EdgeOptions, *, listener: socket.socket | None = None, log: logging.Logger | None = None
    ) -> EdgeServer:
        """Take the port, unless a socket that listens is given, read the artifacts, open the ledger.

        Raises `OptionError`, `ArtifactError`, `LedgerError`.
        """
        check(options)
        log = log or logging.getLogger("targetry.edge")
        with contextlib.ExitStack() as undo:
            listener = listener or listen(options.host, options.port)
            undo.callback(listener.close)
            ledger = None
            if options.data is not None:
                ledger = undo.enter_context(
                    contextlib.closing(Ledger.open(options.data, busy_timeout=_BUSY_S, warn=log.warning))
                )
            places = None
            if options.geo_database is not None:
                places = undo.enter_context(
                    contextlib.closing(GeoDatabase.open(options.geo_database, _no_event))
                )
            artifacts = ArtifactWatcher(
                options.artifacts or [shop_path()],
                client=options.client,
                organization_id=options.organization_id,
                log=log,
                on_change=_describing(ledger) if ledger is not None else None,
            )
            undo.callback(artifacts.close)
            edge = Edge(
                artifacts,
                ledger=ledger,
                locate=places.find if places is not None else None,
                cluster=options.cluster,
                log=log,
                report_cache=ReportCache(ledger) if ledger is not None else None,
                limits=_limits(options, log),
                access=AccessPolicy(options.allow_origins, host=options.host),
            )
            parts = contextlib.ExitStack()
            for part in (ledger, places):
                if part is not None:
                    parts.callback(part.close)
            parts.callback(artifacts.close)
            parts.callback(edge.notes.flush)

            retention = Retention(options.keep_days, options.max_size)
            pruning = None
            if options.data is not None and retention:
                pruning = RetentionTask(options.data, retention, log)
                parts.callback(pruning.close)

            def start() -> None:
                edge.metrics.starts.inc()
                artifacts.watch()
                if pruning is not None:
                    pruning.start()

            server = cls(
                edge_app(edge),
                listener,
                clients=artifacts.registry.clients,
                on_start=start,
                on_close=parts.close,
                on_tick=edge.metrics.sync,
                door=edge.door,
                shortcut=Shortcut.to(edge),
            )
            undo.pop_all()
            return server

    @property
    def url(self) -> str:
        """Where it is reached from this machine."""
        return url_of(self.host, self.port)

    def run(self) -> None:
        """Serve until `stop`, SIGTERM or SIGINT; requests under way have 10 s to end. The parts are closed then."""
        self._on_start()
        try:
            with _quiet_end(), _fair_threads():
                self._server.run(sockets=[self._listener])
        finally:
            self.close()

    def close(self) -> None:
        """Give back what `open` took, where `run` has not done so already. May be called twice."""
        self._listener.close()
        self._on_close()

    def stop(self) -> None:
        """Make `run` end soon; from any thread."""
        self._server.should_exit = True


def _awaitable(call: Callable[[], object]) -> Callable[[], Awaitable[None]]:
    async def called() -> None:
        call()

    return called


@contextlib.contextmanager
def _quiet_end() -> Iterator[None]:
    """uvicorn raises a signal again when all is done; that is to end `run`, not the process. Threads get no signals."""
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
    """Let the event loop go on soon while a thread computes. The setting is the process's, so only one that runs an edge alone has it."""
    before = sys.getswitchinterval()
    if threading.current_thread() is threading.main_thread():
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def check(options: EdgeOptions) -> None:
    """Raises `OptionError` with the option's name."""
    if not options.allow_remote and not is_loopback(options.host):
        reason = f"{options.host!r} can be reached from other machines, and an edge asks nobody who he is"
        raise OptionError("host", f"{reason}; --allow-remote says that this is meant")
    if not 0 <= options.port <= 65535:
        raise OptionError("port", f"must be 0 to 65535, not {options.port}")
    if options.cluster is not None and cluster_number(options.cluster) is None:
        raise OptionError("cluster", f"must be digits, as the 35 of mboxedge35, not {options.cluster!r}")
    for name in ("workers", "max_connections"):
        if getattr(options, name) < 1:
            raise OptionError(name, f"must be 1 or more, not {getattr(options, name)}")
    for name in ("idle_timeout", "request_timeout"):
        if not 0 < getattr(options, name) <= _LONGEST_TIMEOUT_S:
            reason = f"must be more than 0 and at most {_LONGEST_TIMEOUT_S:,} seconds"
            raise OptionError(name, f"{reason}, not {getattr(options, name)}")
    AccessPolicy(options.allow_origins)
    Retention(options.keep_days, options.max_size).check()
    if options.workers > 1 and os.name != "posix":
        raise OptionError("workers", "several processes cannot share a port on this system")


def _limits(options: EdgeOptions, log: logging.Logger) -> Limits:
    connections = room_for(options.max_connections)
    if connections < options.max_connections:
        log.warning(
            "there may be %d connections, not %d: the system allows no more open files (ulimit -n)",
            connections,
            options.max_connections,
        )
    return Limits(connections=connections, idle_s=options.idle_timeout, request_s=options.request_timeout)


def url_of(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address to listen on."""
    return is_loopback_name(host.lower())


def listen(host: str, port: int, *, is_one_of_many: bool = False) -> socket.socket:
    """Take a port; 0 is any that is free. Raises `OptionError`.

    `is_one_of_many`: others of this user may listen there as well, if they say so too; the system spreads connections over them.
    """
    try:
        ((family, kind, protocol, _, address), *_) = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # The protocol is named since asyncio sets TCP_NODELAY only then; without, every answer waits 40 ms for an ACK.
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if is_one_of_many:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise OptionError(
            "port", f"{host}:{port} cannot be listened on: {error.strerror or error}"
        ) from error
    return listener


def _describing(ledger: Ledger) -> Callable[[ArtifactRegistry], None]:
    """The ledger learns what the activities are called."""
    return lambda registry: ledger.describe(
        [one for served in registry.artifacts for one in served.activities.values()]
    )


def _no_event(name: str, /, **payload: Any) -> None:
    """Nobody listens to the events of lookups here."""
