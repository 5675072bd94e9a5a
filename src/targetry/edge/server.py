"""Edge on a port, served by uvicorn: assembly, start and graceful shutdown.

uvicorn can be given a layer that bounds connections: `uvicorn.Config` takes any `asyncio.Protocol`
as its `http` class, so `http.connection` stands in front of uvicorn's own protocol. Granian, also
measured, bounds heads by itself but has no place for such a layer; faults and figures of both
are in `docs/edge.md`.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from targetry._runtime import validators
from targetry._runtime.lazy_import import importing
from targetry.delivery.hosts import cluster_number
from targetry.edge.app import Edge, EdgeApplication
from targetry.edge.artifacts.registry import ArtifactRegistry
from targetry.edge.artifacts.watcher import POLL_INTERVAL_S, ArtifactWatcher, display_names
from targetry.edge.delivery.segments import SegmentReader
from targetry.edge.http.access_policy import AccessPolicy, is_loopback_name
from targetry.edge.http.connection import BoundedConnection
from targetry.edge.http.fd_limit import allow_connections
from targetry.edge.http.limits import Limits
from targetry.edge.http.write_access import WriteAccess
from targetry.edge.ofrep.event_streams import EventStreams
from targetry.edge.ofrep.settings import OfrepSettings, ofrep_settings
from targetry.edge.options import EdgeOptions
from targetry.errors import OptionError
from targetry.geo.maxmind import GeoDatabase
from targetry.ledger.location import is_address, open_ledger
from targetry.ledger.postgres.retention import prune_postgres
from targetry.ledger.retention import Retention, RetentionTask, prune_shared
from targetry.ledger.store import EventStore
from targetry.recording.log import MAX_BYTES, RequestLog, check_log_options
from targetry.samples import shop_path

if TYPE_CHECKING:
    from targetry.edge.ui.folder_editor import FolderEditor
    from targetry.edge.ui.report_cache import ReportCache

DRAIN_S: Final = 10
_BACKLOG: Final = 1024
_BUSY_S: Final = (
    1.0  # an SDK waits 3 s for its response, and a request can arrive when a commit has just begun
)
_LONGEST_TIMEOUT_S: Final = 86_400
_COLLECT_AT: Final = 10_000  # new objects; those of some 200 requests that wait for a commit
_SWITCH_INTERVAL_S: Final = 0.0005  # Python's own 5 ms would be added to a response several times


class RunnableEdge:
    """Edge with all its parts open. Made by `open_edge`.

    Attributes:
        application: Its ASGI application.
        clients: The client codes that it serves.
    """

    def __init__(
        self,
        application: EdgeApplication,
        clients: Sequence[str],
        start: Callable[[], object],
        close: Callable[[], object],
    ) -> None:
        self.application = application
        self.clients = clients
        self._start = start
        self._close = close

    def start(self) -> None:
        """Start the background tasks."""
        self._start()

    def close(self) -> None:
        """Close the parts; calling it twice is allowed."""
        self._close()


def open_edge(options: EdgeOptions, log: logging.Logger, *, hash_key: bytes | None = None) -> RunnableEdge:
    """Load the artifacts and open the ledger of an edge.

    Args:
        options: The options.
        log: The edge's logger.
        hash_key: Key of the hashed ids in recorded requests. Default: a random one.

    Raises:
        OptionError: An option is wrong.
        ArtifactError: An artifact cannot be loaded.
        LedgerError: The ledger cannot be opened.
    """
    check(options)
    with contextlib.ExitStack() as undo:
        ledger = places = pruning = None
        location: str | os.PathLike[str] | None = (
            options.ledger if options.ledger is not None else options.data
        )
        if location is not None:
            ledger = open_ledger(location, busy_timeout=_BUSY_S, warn=log.warning)
            undo.callback(ledger.close)
        if options.geo_database is not None:
            places = GeoDatabase.open(options.geo_database, _ignore_event)
            undo.callback(places.close)
        request_log = _request_log(options, log, hash_key)
        if request_log is not None:
            undo.callback(request_log.close)
        artifacts = ArtifactWatcher(
            [*options.artifacts, *options.activities] or [shop_path()],
            client=options.client,
            organization_id=options.organization_id,
            log=log,
            on_change=partial(describe_activities, ledger) if ledger is not None else None,
        )
        undo.callback(artifacts.close)
        edge = Edge(
            artifacts,
            ledger=ledger,
            segments=SegmentReader(options.segments) if options.segments else None,
            request_log=request_log,
            locate=places.find if places is not None else None,
            cluster=options.cluster,
            log=log,
            report_cache=_report_cache(ledger, options, artifacts),
            limits=_limits(options, log),
            access=AccessPolicy(options.allow_origins, host=options.host),
            write_access=_write_access(options),
            editors=_editors(options),
            ofrep=_ofrep(options),
            event_delay_s=2 * POLL_INTERVAL_S if options.workers > 1 else 0.0,
        )
        undo.callback(edge.metrics.sync)
        undo.callback(edge.access_log.flush)
        retention = Retention(options.keep_days, options.max_size)
        if location is not None and retention:
            pruning = RetentionTask(_removal(location, retention, log), log)
            undo.callback(pruning.close)
        parts = undo.pop_all()

    def start() -> None:
        edge.metrics.starts.inc()
        artifacts.watch()
        if pruning is not None:
            pruning.start()

    return RunnableEdge(EdgeApplication(edge), artifacts.registry.clients, start, parts.close)


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
        timeout_keep_alive=_LONGEST_TIMEOUT_S,  # `ConnectionRegistry` closes idle connections
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
        check(options)
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


def check(options: EdgeOptions) -> None:
    """Check the options that no part of the edge checks.

    Raises:
        OptionError: An option is wrong; it has the option's name.
    """
    if not options.allow_remote and not is_loopback_name(options.host):
        reason = f"binding to {options.host!r} exposes the edge, which has no authentication"
        raise OptionError("host", f"{reason}; pass --allow-remote to confirm")
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
    _ofrep(options)
    _write_access(options)
    Retention(options.keep_days, options.max_size).check()
    _check_ledger(options)
    _check_segments(options)
    _check_zone(options)
    with _as_record_options():
        check_log_options(options.record_share, _max_log_bytes(options))
    if options.workers > 1 and os.name != "posix":
        raise OptionError("workers", "several processes cannot share a port on this system")


def _report_cache(
    ledger: EventStore | None, options: EdgeOptions, artifacts: ArtifactWatcher
) -> ReportCache | None:
    if ledger is None:
        return None
    from targetry.edge.ui.report_cache import ReportCache  # takes a tenth of an edge's start

    return ReportCache(ledger, options.segments, zone=options.zone, plans=lambda: artifacts.registry.plans)


def _editors(options: EdgeOptions) -> list[FolderEditor]:
    """Return the editors of the folders, with the names of their artifacts."""
    if not options.activities:
        return []
    with importing():
        from targetry.edge.ui.folder_editor import FolderEditor

    names = display_names([*options.artifacts, *options.activities])[len(options.artifacts) :]
    return [FolderEditor(name, Path(path)) for name, path in zip(names, options.activities, strict=True)]


def _write_access(options: EdgeOptions) -> WriteAccess:
    """Return what the edge's pages may change. Raises `OptionError`."""
    return WriteAccess(options.page_token, is_remote=not is_loopback_name(options.host))


def _ofrep(options: EdgeOptions) -> OfrepSettings | None:
    """Return the settings of OFREP, None without it. Raises `OptionError`."""
    settings = ofrep_settings(
        tokens=options.ofrep_tokens,
        targeting_key=options.ofrep_targeting_key,
        targeting_key_parameter=options.ofrep_targeting_key_parameter,
        impressions=options.ofrep_impressions,
        reasons=options.ofrep_reasons,
    )
    return settings if options.ofrep else None


def _request_log(options: EdgeOptions, log: logging.Logger, hash_key: bytes | None) -> RequestLog | None:
    """Return the log of requests, None without it. Raises `OptionError`."""
    if options.record_requests is None:
        return None
    with _as_record_options():
        return RequestLog(
            options.record_requests,
            share=options.record_share,
            max_bytes=_max_log_bytes(options),
            hash_ids=options.record_hashed_ids,
            key=hash_key,
            log=log,
        )


def _max_log_bytes(options: EdgeOptions) -> int:
    return MAX_BYTES if options.record_max_size is None else options.record_max_size


@contextlib.contextmanager
def _as_record_options() -> Iterator[None]:
    """Raise errors of a log of requests with the names of the edge's options."""
    names = {"path": "record_requests", "share": "record_share", "max_bytes": "record_max_size"}
    try:
        yield
    except OptionError as error:
        raise OptionError(names[error.path], error.reason) from error


def _limits(options: EdgeOptions, log: logging.Logger) -> Limits:
    connections = allow_connections(options.max_connections)
    if connections < options.max_connections:
        log.warning(
            "the limit of connections is %d, not %d: the system allows no more open files; raise ulimit -n",
            connections,
            options.max_connections,
        )
    return Limits(connections=connections, idle_s=options.idle_timeout, request_s=options.request_timeout)


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


def _check_segments(options: EdgeOptions) -> None:
    SegmentReader(options.segments)
    if options.segments and options.data is None and options.ledger is None:
        raise OptionError("segments", "need a ledger that records them; give --data or --ledger")


def _check_zone(options: EdgeOptions) -> None:
    validators.time_zone("zone", options.zone)
    if options.zone != "UTC" and options.data is None and options.ledger is None:
        raise OptionError("zone", "needs a ledger, since it is that of the report; give --data or --ledger")


def _check_ledger(options: EdgeOptions) -> None:
    if options.ledger is None:
        return
    if not is_address(options.ledger):
        reason = (
            f"must be an address of PostgreSQL, like postgresql://user@host/database, not {options.ledger!r}"
        )
        raise OptionError("ledger", f"{reason}; --data has the folder of a ledger")
    if options.data is not None:
        raise OptionError("ledger", "cannot be combined with --data, since an edge records in one ledger")
    if options.max_size is not None:
        raise OptionError("max_size", "does not apply to a ledger in PostgreSQL; use --keep-days")


def _removal(
    location: str | os.PathLike[str], retention: Retention, log: logging.Logger
) -> Callable[[Callable[[], bool]], int]:
    if not is_address(location):
        return partial(prune_shared, location, retention, log.warning)
    assert retention.keep_days is not None
    url, keep_days = str(location), retention.keep_days
    return lambda is_stopped: prune_postgres(url, keep_days, is_stopped=is_stopped)


def describe_activities(ledger: EventStore, registry: ArtifactRegistry) -> None:
    """Store the names and shares of the activities in the ledger."""
    ledger.describe([one for artifact in registry.artifacts for one in artifact.activities.values()])


def _ignore_event(name: str, /, **payload: Any) -> None:
    """Ignore an event of the lookups."""
