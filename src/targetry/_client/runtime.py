"""Runtime of a client: log, events, engine, geo lookup, notifier and pipeline.

Both clients have the same runtime. Threads with a synchronous transport do the background work, of
artifact and notifications, in both.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from targetry._client.decisioning_engine import DecisioningEngine
from targetry._client.decisions.flag_evaluator import FlagStats
from targetry._client.decisions.hook_runner import ARTIFACT_CHANGES, HookRunner, artifact_change
from targetry._client.decisions.reports import DecisionReport, ImpressionReport, NotificationReport, Report
from targetry._client.hooked_transport import AsyncHookedTransport, HookedTransport
from targetry._client.options import ClientSettings
from targetry._client.pipeline import SDK_HEADERS, OfferPipeline, delivery_address
from targetry._runtime import forks
from targetry._runtime.at_exit import close_at_exit
from targetry._runtime.daemon_threads import refused_thread_count, start_daemon_thread
from targetry._runtime.forks import ensure_after_fork, register_fork_handler
from targetry._runtime.logger import Log
from targetry._runtime.rate_limited_log import RateLimitedLog
from targetry._runtime.sync_primitives import OneShotEvent
from targetry.artifacts.source import ArtifactStats
from targetry.delivery.clusters import ClusterDirectory
from targetry.delivery.hosts import configured_cluster, geo_url, is_adobe_cdn, is_custom_domain
from targetry.delivery.prepare import IgnoredInput
from targetry.delivery.telemetry import TelemetryStore
from targetry.errors import ClosedError
from targetry.events import CLIENT_READY, Events
from targetry.geo.cache import GeoStats
from targetry.geo.lookup import BaseGeoLookup, GeoLookup
from targetry.geo.maxmind import GeoDatabase
from targetry.hooks import ClientHandle, Operation, with_installed
from targetry.http import HttpTransport
from targetry.http.protocol import AsyncTransport, Transport
from targetry.models import DecisioningMethod
from targetry.notifications.held_reports import HELD
from targetry.notifications.notifier import Notifier, NotifierStats
from targetry.notifications.request_builder import RequestBuilder

_READY_DELAY_S: Final = 0.1  # as in the official package: `create` has returned by then
_held_reports: Final = HELD.get  # faster than the method of an imported name


if TYPE_CHECKING:
    from targetry.geo.async_lookup import AsyncGeoDatabase, AsyncGeoLookup
    from targetry.http import AsyncHttpTransport

CLOSE_TIMEOUT_S: Final = 2.0
REFRESH_TIMEOUT_S: Final = 30.0


class ClientStats(msgspec.Struct, frozen=True):
    """Counts of a client since its creation.

    Attributes:
        notifications: Counts of notifications: accepted = sent + pending + dropped, at every
            moment.
        artifact: State of the artifact's source; None for a server-side client.
        geo: Counts of geo lookups; None for a server-side client.
        telemetry_dropped: Telemetry entries that were evicted by newer ones, or were in a call that
            the API rejected.
        handler_failures: Event handlers that raised.
        ignored: Input that calls ignored.
        threads_refused: Threads that the system refused to all clients of this process.
        unusable_rules: Rules of the artifact in use that cannot be used, by cause.
        skipped_rules: How often decisions skipped a rule that could not be evaluated, by activity
            and cause.
        flags: Evaluations of flags.
        web_faults: Faults that pages were served in spite of, by kind: `consent`, `customer_ids`,
            `parameters`, `ip`, `decision`, `track`, `cookies`, `response`.
        hook_failures: Calls of hooks that raised.
    """

    notifications: NotifierStats
    artifact: ArtifactStats | None
    geo: GeoStats | None
    telemetry_dropped: int
    handler_failures: int
    ignored: IgnoredInput
    threads_refused: int = 0
    unusable_rules: dict[str, int] = {}
    skipped_rules: dict[str, int] = {}
    flags: FlagStats | None = None
    web_faults: dict[str, int] = {}
    hook_failures: int = 0


class ClientRuntime:
    """Parts of one client; `open` starts them, `close` stops them."""

    def __init__(self, options: ClientSettings) -> None:
        self.options = options
        self.log = Log(options.logger)
        self._limited_log = RateLimitedLog(self.log)
        self.events = Events(options.events, self.log)
        telemetry = TelemetryStore(enabled=options.telemetry_enabled)
        self._request_builder = RequestBuilder(telemetry)
        self._own_transport = (
            None if options.transport is not None else HttpTransport(**transport_options(options, self.log))
        )
        transport = options.transport or self._own_transport
        assert transport is not None
        self.transport: Transport = transport
        self.hooks = self._hook_runner(options)
        decides = options.decisioning_method is not DecisioningMethod.SERVER_SIDE
        self.engine = self._engine(telemetry) if decides else None
        self._database = self._geo_database() if decides else None
        clusters = ClusterDirectory(time.monotonic)
        # Last, after all that can reject the options: with a spool it starts to work at once.
        self.notifier = Notifier(
            self.transport_for("notifications"),
            address=delivery_address(options),
            clusters=clusters,
            build_request=self._request_builder.build,
            headers=SDK_HEADERS,
            timeout_s=options.timeout / 1000,
            queue_limit=options.notification_queue_limit,
            emit=self.events.emit,
            log=self.log,
            spool_path=options.notification_spool,
        )
        hooks = self.hooks
        self._exposed = hooks.exposed if hooks is not None and hooks.observes_exposures else None
        self._only_sends = self._exposed is None and options.send_notification_func is None
        self.pipeline = OfferPipeline(
            options,
            engine=self.engine,
            log=self.log,
            telemetry=telemetry,
            report=self._report,
            has_backlog=self._has_backlog,
            clusters=clusters,
        )
        self._geo: GeoLookup | GeoDatabase | AsyncGeoLookup | AsyncGeoDatabase | None = None
        self.is_closed = False
        self.needs_check = False  # whether `check` has something to do before a call
        self._opened = OneShotEvent()
        self._closed = OneShotEvent()  # wakes the thread that waits to emit `client_ready`
        self._pending_events: deque[str] = (
            deque()
        )  # `client_ready`, if the system refused the thread to emit it
        register_fork_handler(self)
        if self._own_transport is not None:
            close_at_exit(self, ClientRuntime._close_at_exit)
        if hooks is not None:
            self._handle = ClientHandle(options.client, options.decisioning_method, self.stats)
            hooks.open(self._handle)

    def _hook_runner(self, options: ClientSettings) -> HookRunner | None:
        hooks = with_installed(options.hooks)
        if not hooks:
            return None
        runner = HookRunner(
            hooks,
            self._limited_log,
            flag_set=options.property_token or options.client,
            own_hosts=_own_hosts(options),
        )
        if runner.observes_artifact:
            for name in ARTIFACT_CHANGES:
                self.events.subscribe(name, lambda event: runner.artifact_changed(artifact_change(event)))
        return runner

    @property
    def call_hooks(self) -> HookRunner | None:
        """The hooks, if one of them observes calls."""
        return self.hooks if self.hooks is not None and self.hooks.observes_calls else None

    def transport_for(self, operation: Operation) -> Transport:
        """Return the transport for requests of one purpose, which hooks observe."""
        if self.hooks is None or not self.hooks.observes_http:
            return self.transport
        return HookedTransport(self.transport, self.hooks, operation)

    def async_transport_for(self, operation: Operation, transport: AsyncTransport) -> AsyncTransport:
        """Return an asynchronous transport for requests of one purpose, which hooks observe."""
        if self.hooks is None or not self.hooks.observes_http:
            return transport
        return AsyncHookedTransport(transport, self.hooks, operation)

    def _engine(self, telemetry: TelemetryStore) -> DecisioningEngine:
        return DecisioningEngine(
            self.options,
            transport=self.transport_for("artifact"),
            events=self.events,
            log=self.log,
            telemetry=telemetry,
            on_ready=self._schedule_client_ready,
        )

    def geo(self) -> GeoLookup | GeoDatabase | None:
        """Return the geo lookup; None for a server-side client."""
        if self.engine is None:
            return None
        self._geo = self._database or GeoLookup(transport=self.transport_for("geo"), **self._geo_arguments())
        return self._geo

    def async_geo(self, transport: AsyncTransport) -> AsyncGeoLookup | AsyncGeoDatabase | None:
        """Return the asynchronous geo lookup; None for a server-side client."""
        if self.engine is None:
            return None
        from targetry.geo.async_lookup import AsyncGeoDatabase, AsyncGeoLookup

        database = self._database
        observed = self.async_transport_for("geo", transport)
        lookup = AsyncGeoLookup(transport=observed, **self._geo_arguments())
        self._geo = AsyncGeoDatabase(database) if database is not None else lookup
        return self._geo

    def _geo_database(self) -> GeoDatabase | None:
        path = self.options.geo_database
        return None if path is None else GeoDatabase.open(path, self.events.emit)

    def _geo_arguments(self) -> dict[str, Any]:
        options = self.options
        return {
            "url": geo_url(cdn_environment=options.cdn_environment, cdn_base_path=options.cdn_base_path),
            "emit": self.events.emit,
            "log": self.log,
            "timeout_s": min(options.geo_timeout, options.timeout) / 1000,
        }

    def open(self, transport: HttpTransport | AsyncHttpTransport | None = None) -> None:
        """Start, and wait for the first rules within the limit of the options.

        Args:
            transport: The transport of the client's calls, if it is not that of its reports.
        """
        own = transport or self._own_transport
        if own is not None:
            own.prepare()  # otherwise the first call would, within its deadline
        try:
            if self.engine is None:
                self._schedule_client_ready()
                return
            self.engine.start()
            self.engine.wait_ready()
        finally:
            self._opened.set()

    def check_open(self) -> None:
        """Raise `ClosedError` after `close`. Every call starts with it."""
        if not forks.mark[0]:  # the common case, without the call
            forks.ensure_after_fork()
        if self.needs_check:
            self.check()

    def check(self) -> None:
        """Raise `ClosedError` after `close`; else start tasks whose start was delayed."""
        self.needs_check = False
        if self.is_closed:
            self.needs_check = True
            raise ClosedError("the client is closed")
        try:
            self._pending_events.pop()
        except IndexError:  # another thread emits it
            return
        self._schedule_client_ready()

    def after_fork(self) -> None:
        """Drop the waiting telemetry in a forked child: the parent sends it."""
        self.pipeline.telemetry_reports.after_fork()

    def flush(self, timeout: float) -> bool:
        self.pipeline.telemetry_reports.flush()
        return self.notifier.flush(timeout)

    def stats(self) -> ClientStats:
        return ClientStats(
            notifications=self.notifier.stats(),
            artifact=self.engine.stats() if self.engine is not None else None,
            geo=self._geo.stats() if isinstance(self._geo, BaseGeoLookup) else None,
            telemetry_dropped=self.pipeline.telemetry.dropped,
            handler_failures=self.events.failures,
            ignored=msgspec.structs.replace(self.pipeline.ignored),
            threads_refused=refused_thread_count(),
            unusable_rules=self.engine.unusable_rules() if self.engine is not None else {},
            skipped_rules=self.pipeline.skipped_rules.counts,
            hook_failures=0 if self.hooks is None else self.hooks.failures,
        )

    def close(self, timeout: float) -> None:
        """Stop everything within `timeout` seconds. Can be called twice."""
        if self.is_closed:
            return
        ensure_after_fork()
        self.is_closed = self.needs_check = True
        self._closed.set()
        deadline = time.monotonic() + timeout
        if self.engine is not None:
            self.engine.close(min(timeout, 0.5))
        self.pipeline.telemetry_reports.close(0)
        self.notifier.close(max(0.0, deadline - time.monotonic()))
        if self._geo is not None:
            self._geo.close()
        if self._own_transport is not None:
            self._own_transport.close()

    def close_idle(self) -> int:
        """Close the idle connections and return their number."""
        return self._own_transport.close_idle() if self._own_transport is not None else 0

    def _close_at_exit(self, timeout: float) -> None:
        """Close idle connections at exit; other exit handlers can still call the client."""
        self.close_idle()

    def _report(self, report: Report) -> bool:
        """Hold or enqueue a report, and return whether it was accepted."""
        held = _held_reports()
        if held is None and self._only_sends:
            return self.notifier.submit(report)
        if held is not None and not isinstance(report, NotificationReport) and report.count:
            held.add(report)
            return True
        return self.submit_report(report)

    def submit_report(self, report: Report) -> bool:
        """Enqueue a report, show it to hooks if it was accepted, and return whether it was."""
        ensure_after_fork()
        if self._only_sends:
            return self.notifier.submit(report)
        if isinstance(report, DecisionReport):
            report = report.resolve()
        is_accepted = self._submit(report)
        if self._exposed is not None and is_accepted and isinstance(report, ImpressionReport):
            self._exposed(report.prepared, report.impressions)
        return is_accepted

    def _submit(self, report: ImpressionReport | NotificationReport) -> bool:
        function = self.options.send_notification_func
        if function is None:
            return self.notifier.submit(report)
        try:
            function({"request": self._request_builder.build(report), "visitor": report.visitor})
        except Exception as error:  # a fault of the caller's function must not fail the decision
            self._limited_log.error("function", "send_notification_func failed: %r", error)
            return False
        return True

    def drop_report(self, report: Report) -> None:
        """Count the impressions of a page that was not delivered."""
        self.notifier.count_undelivered(report.count)

    def _has_backlog(self) -> bool:
        return self.options.send_notification_func is None and self.notifier.has_backlog

    def _schedule_client_ready(self) -> None:
        """Emit `client_ready` from another thread, a moment after `create` has returned."""
        if self.options.events is None or CLIENT_READY not in self.options.events:
            return
        if start_daemon_thread("targetry-client-ready", self._emit_client_ready) is None:
            self.log.error(
                "client_ready is delayed: the system refuses a thread; trying again at a later call"
            )
            self._pending_events.append(CLIENT_READY)
            self.needs_check = True

    def _emit_client_ready(self) -> None:
        self._opened.wait()
        if not self._closed.wait(_READY_DELAY_S):
            self.events.emit(CLIENT_READY)


def transport_options(options: ClientSettings, log: Log) -> dict[str, Any]:
    """Return the arguments of the default transports."""
    return {
        "max_connections": options.max_connections,
        "ca_bundle": options.ca_bundle,
        "proxy": options.proxy,
        "trust_env": options.trust_env,
        "on_surplus": SurplusWarning(log),
        "own_urls": _own_urls(options),
    }


class SurplusWarning:
    """Log of surplus bytes from a server; refers to no part of the client but its log."""

    def __init__(self, log: Log) -> None:
        self._log = RateLimitedLog(log)

    def __call__(self, origin: tuple[str, str, int]) -> None:
        self._log.warning(
            f"surplus {origin}",
            "closed a connection to %s://%s:%d: bytes came that no request had asked for; look for the cause at that "
            "server or at a proxy before it",
            *origin,
        )


def _own_hosts(options: ClientSettings) -> list[str]:
    """Return the hosts that the options name, with their ports, without those of Adobe."""
    hosts = []
    if is_custom_domain(options.server_domain):
        hosts.append(str(options.server_domain))
    cdn = geo_url(cdn_base_path=options.cdn_base_path)
    if options.cdn_base_path is not None and not is_adobe_cdn(cdn):
        hosts.append(urlsplit(cdn).netloc)
    return hosts


def _own_urls(options: ClientSettings) -> list[str]:
    """Return the URLs of the client's requests, without the clusters of visitors' cookies."""
    address = delivery_address(options)
    urls = [address.url(""), address.url("", configured_cluster(options.target_location_hint))]
    if options.decisioning_method is not DecisioningMethod.SERVER_SIDE:
        urls.append(geo_url(cdn_environment=options.cdn_environment, cdn_base_path=options.cdn_base_path))
        if isinstance(options.artifact_location, str):
            urls.append(options.artifact_location)
    return urls
