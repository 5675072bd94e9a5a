"""Assembly of an edge from its options: their checks, its parts, and the end of these."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from targetry._runtime import validators
from targetry._runtime.lazy_import import importing
from targetry.delivery.hosts import cluster_number
from targetry.edge.app import Edge, EdgeApplication
from targetry.edge.artifacts.registry import ArtifactRegistry
from targetry.edge.artifacts.watcher import POLL_INTERVAL_S, ArtifactWatcher, display_names
from targetry.edge.delivery.segments import SegmentReader
from targetry.edge.http.access_policy import AccessPolicy, is_loopback_name
from targetry.edge.http.fd_limit import allow_connections
from targetry.edge.http.limits import LONGEST_TIMEOUT_S, Limits
from targetry.edge.http.write_access import WriteAccess
from targetry.edge.ofrep.settings import OfrepSettings, ofrep_settings
from targetry.edge.options import EdgeOptions
from targetry.errors import OptionError
from targetry.geo.maxmind import GeoDatabase
from targetry.ledger.location import folder_mistake, is_address, open_ledger
from targetry.ledger.postgres.retention import prune_postgres
from targetry.ledger.retention import Retention, RetentionTask, prune_shared
from targetry.ledger.store import EventStore
from targetry.recording.log import MAX_BYTES, RequestLog, check_log_options
from targetry.samples import shop_path

if TYPE_CHECKING:
    from targetry.edge.ui.folder_editor import FolderEditor
    from targetry.edge.ui.report_cache import ReportCache

# An SDK waits 3 s for its response, and a request can arrive when a commit has just begun.
_BUSY_S: Final = 1.0
_OFREP_OPTIONS: Final = tuple(name for name in EdgeOptions.__struct_fields__ if name.startswith("ofrep_"))
# Options, those of which they need one, and how to give it.
_NEEDED: Final = (
    (
        ("segments", "zone", "keep_days", "max_size"),
        ("data", "ledger"),
        "a ledger; give --data or --ledger",
    ),
    (
        ("record_share", "record_max_size", "record_hashed_ids"),
        ("record_requests",),
        "recorded requests; give --record-requests",
    ),
    (_OFREP_OPTIONS, ("ofrep",), "OFREP; leave --no-ofrep out"),
)


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
    check_edge_options(options)
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


def check_edge_options(options: EdgeOptions) -> None:
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
        if not 0 < getattr(options, name) <= LONGEST_TIMEOUT_S:
            reason = f"must be more than 0 and at most {LONGEST_TIMEOUT_S:,} seconds"
            raise OptionError(name, f"{reason}, not {getattr(options, name)}")
    AccessPolicy(options.allow_origins)
    _ofrep(options)
    _write_access(options)
    Retention(options.keep_days, options.max_size).check()
    SegmentReader(options.segments)
    validators.time_zone("zone", options.zone)
    _check_ledger(options)
    _check_needed(options)
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


def _check_needed(options: EdgeOptions) -> None:
    """Check that no option is given without the option that it adds to. Raises `OptionError`."""
    is_given = {
        field.name: getattr(options, field.name) not in (field.default, [])
        for field in msgspec.structs.fields(EdgeOptions)
    }
    for dependents, needed, advice in _NEEDED:
        unused = next((name for name in dependents if is_given[name]), None)
        if unused is not None and not any(getattr(options, name) for name in needed):
            raise OptionError(unused, f"has no effect without {advice}")


def _check_ledger(options: EdgeOptions) -> None:
    if options.data is not None and (mistake := folder_mistake(options.data)) is not None:
        raise OptionError("data", mistake)
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
