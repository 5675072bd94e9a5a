"""ASGI application of an edge: the Delivery API, artifacts, and what an operator needs.

POST /rest/v1/delivery                                       the Delivery API
POST [/<client>[/<environment>]]/ofrep/v1/evaluate/flags[/<key>]   flags; GET …/ofrep/v1/events
GET  /<client>/<environment>/v1[/<property>]/rules.json      the artifact, and rules.bin
GET  /v1/geo                                                 the location of an address
GET  /healthz · /readyz · /metrics                           for the operator
GET  / · /recent · /request · /activities · /report[.json] · /plot.svg   the page and its parts
GET, POST /ask · GET /ask/offer · GET, POST /files           the pages that ask and edit

Every request takes one path through `EdgeApplication`: header checks, access policy, endpoint,
access log. It answers the frequent routes (delivery, flags, artifact) itself; a Starlette
application with the same checks in front of it answers the others.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Message, Receive, Scope, Send

from targetry._client.decisions.hook_runner import HookRunner
from targetry._runtime.ids import new_id as random_id
from targetry._runtime.rate_limited_log import RateLimitedLog
from targetry.edge.artifacts.endpoint import respond_with_artifact
from targetry.edge.artifacts.registry import ArtifactRegistry, LoadedArtifact
from targetry.edge.delivery.endpoint import FORWARDED, MIN_COMPRESSED_BYTES, DeliveryEndpoint
from targetry.edge.delivery.geo import ClientAddress, client_address, geo_headers, geo_values
from targetry.edge.delivery.handler import AddressLocator
from targetry.edge.delivery.recorder import EventRecorder, EventSink
from targetry.edge.delivery.request_parsing import query_fields
from targetry.edge.delivery.rule_problems import RuleProblems
from targetry.edge.delivery.segments import SegmentReader
from targetry.edge.http.access_policy import (
    DELIVERY_PATH,
    AccessPolicy,
    Headers,
    is_public_path,
)
from targetry.edge.http.connection import CONNECTION, REGISTRY, BoundedConnection
from targetry.edge.http.connection_registry import ConnectionRegistry
from targetry.edge.http.errors import INTERNAL_ERROR, RequestRejected
from targetry.edge.http.limits import Limit, LimitMonitor, Limits
from targetry.edge.http.request_body import COMPRESSION_LEVEL, arrived_body, read_body
from targetry.edge.http.request_head import Fields, read_fields
from targetry.edge.http.response import (
    EdgeResponse,
    answer_preflight,
    cors_headers,
    error_response,
    response_messages,
)
from targetry.edge.http.write_access import WriteAccess
from targetry.edge.observability.access_log import AccessLog
from targetry.edge.observability.artifact_state import ArtifactState
from targetry.edge.observability.internal_error import log_internal_error
from targetry.edge.observability.metrics import CONTENT_TYPE, Metrics
from targetry.edge.ofrep.endpoint import OfrepEndpoint
from targetry.edge.ofrep.event_streams import EventStreams
from targetry.edge.ofrep.paths import OfrepTarget, parse_ofrep_path
from targetry.edge.ofrep.responses import failure_response
from targetry.edge.ofrep.settings import OfrepSettings
from targetry.edge.ui.ask_page import AskPage
from targetry.edge.ui.files_page import FilesPage
from targetry.edge.ui.page import Dashboard
from targetry.edge.ui.request_history import RequestHistory
from targetry.errors import ErrorCode
from targetry.hooks import Hook, with_installed
from targetry.recording.log import RequestLog

if TYPE_CHECKING:
    from targetry.edge.ui.folder_editor import FolderEditor
    from targetry.edge.ui.report_cache import ReportCache

_ARTIFACT_PATH: Final = re.compile(r"/([^/]+)/([^/]+)/v1/(?:[^/]+/)?(rules\.(?:json|bin))")
_UNKNOWN_PATH: Final = "(unknown path)"
_UNKNOWN_ROUTE: Final = "other"
_SYNC_S: Final = 1.0
_NO_ADDRESS: Final = ClientAddress()


class EdgeArtifacts(Protocol):
    """Artifacts in use, and how many were loaded again and rejected."""

    registry: ArtifactRegistry
    reloads: int
    refusals: int

    def is_stale(self, artifact: LoadedArtifact) -> bool:
        """Return whether a newer version of the artifact could not be loaded."""

    def states(self) -> list[ArtifactState]:
        """Return the state of each artifact file."""


class Edge:
    """Parts of an edge.

    Args:
        artifacts: The artifacts in use.
        ledger: Records events; without one, events are not recorded.
        segments: Reads the facts that are recorded with impressions.
        request_log: Records requests with their responses. The caller closes it.
        locate: Finds the location of an IP address.
        cluster: Cluster of tnt ids and of `edgeHost`.
        now: Clock, in epoch seconds.
        new_id: Makes ids.
        log: Logger of the edge.
        report_cache: Reports of the ledger, for the dashboard.
        limits: Limits of connections and requests.
        access: Decides which requests are answered.
        write_access: Decides what the pages change.
        editors: Editors of the folders of activities.
        ofrep: Settings of OFREP; None for an edge without it.
        hooks: Observe evaluations over OFREP, as installed hooks do.
        event_delay_s: Seconds from a new artifact to its event, until all workers have loaded it.
    """

    def __init__(
        self,
        artifacts: EdgeArtifacts,
        *,
        ledger: EventSink | None = None,
        segments: SegmentReader | None = None,
        request_log: RequestLog | None = None,
        locate: AddressLocator | None = None,
        cluster: str | None = None,
        now: Callable[[], float] = time.time,
        new_id: Callable[[], str] = random_id,
        log: logging.Logger | None = None,
        report_cache: ReportCache | None = None,
        limits: Limits = Limits(),  # noqa: B008  it is immutable
        access: AccessPolicy | None = None,
        write_access: WriteAccess | None = None,
        editors: Sequence[FolderEditor] = (),
        ofrep: OfrepSettings | None = OfrepSettings(),  # noqa: B008  it is immutable
        hooks: Sequence[Hook] = (),
        event_delay_s: float = 0.0,
    ) -> None:
        self.artifacts = artifacts
        self.locate = locate
        self.now = now
        self.log = log or logging.getLogger("targetry.edge")
        self.limits = limits
        self.access = access or AccessPolicy()
        all_hooks = with_installed(hooks)
        runner = HookRunner(all_hooks, RateLimitedLog(self.log)) if all_hooks else None
        self.metrics = Metrics(
            artifacts.states,
            lambda: (
                artifacts.reloads,
                artifacts.refusals,
                0 if runner is None else runner.failures,
                0 if request_log is None else request_log.recorded,
                0 if request_log is None else request_log.dropped,
            ),
        )
        self.access_log = AccessLog(self.metrics, self.log)
        self.monitor = LimitMonitor(limits, self.metrics, self.log)
        self.connections = ConnectionRegistry(limits, self.monitor, self.metrics)
        self.history = RequestHistory(int(time.time() * 1000))
        self.dashboard = Dashboard(lambda: artifacts.registry, artifacts.states, self.history, report_cache)
        recorder = EventRecorder(ledger, self.metrics, self.log, segments)
        changes = write_access or WriteAccess()
        self.files_page = FilesPage(lambda: artifacts.registry, editors, changes)
        self.ask_page = AskPage(
            lambda: artifacts.registry,
            self.history,
            recorder,
            access=changes,
            locate=locate,
            cluster=cluster,
            now=now,
            new_id=new_id,
        )
        self.delivery = DeliveryEndpoint(
            lambda: artifacts.registry,
            recorder=recorder,
            history=self.history,
            metrics=self.metrics,
            monitor=self.monitor,
            log=self.log,
            request_log=request_log,
            locate=locate,
            cluster=cluster,
            now=now,
            new_id=new_id,
        )
        self.ofrep: OfrepEndpoint | None = None
        if ofrep is not None:
            self.ofrep = OfrepEndpoint(
                ofrep,
                lambda: artifacts.registry,
                is_stale=artifacts.is_stale,
                recorder=recorder,
                history=self.history,
                metrics=self.metrics,
                monitor=self.monitor,
                problems=RuleProblems(self.metrics, self.log),
                locate=locate,
                hooks=runner if runner is not None and runner.observes_calls else None,
                now=now,
                new_id=new_id,
            )
        self.event_streams = EventStreams(
            lambda: artifacts.registry,
            limit=max(1, limits.connections // 2),
            monitor=self.monitor,
            delay_s=event_delay_s,
        )

    def geo_values(self, request: Request) -> dict[str, Any]:
        """Return the location that the request gives or its address has, and the address."""
        values, is_unread = geo_values(request, self.locate)
        if is_unread:
            self.metrics.unread.labels(FORWARDED).inc()
        return values

    async def geo(self, request: Request) -> Response:
        """Respond with the location of an address."""
        values = self.geo_values(request)
        return _json(values, headers={"cache-control": "no-store", **geo_headers(values)})

    async def healthz(self, request: Request) -> Response:
        """Respond as long as the process does."""
        return _json({"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        """Respond with 200 if there is an artifact; a rejected file does not change that."""
        is_ready = bool(self.artifacts.registry.artifacts)
        body = {"status": "ready" if is_ready else "no artifact", "artifacts": self.artifacts.states()}
        return _json(body, 200 if is_ready else 503)

    async def exposition(self, request: Request) -> Response:
        """Respond with the metrics, for Prometheus."""
        self.access_log.flush()
        return Response(self.metrics.text(), media_type=CONTENT_TYPE)


class EdgeApplication:
    """ASGI application of an edge.

    Args:
        edge: The parts of the edge. The caller closes those that need it.
    """

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self.event_streams = edge.event_streams
        own_pages = [*edge.dashboard.routes(), *edge.ask_page.routes(), *edge.files_page.routes()]
        routes = [
            Route("/v1/geo", edge.geo, name="geo"),
            Route("/healthz", edge.healthz, name="healthz"),
            Route("/readyz", edge.readyz, name="readyz"),
            Route("/metrics", edge.exposition, name="metrics"),
            *own_pages,
        ]
        self._routes = {route.path: route.name for route in routes}
        self._known_paths = frozenset((DELIVERY_PATH, *self._routes))
        self._own_routes = {route.name for route in own_pages}
        self._site = GZipMiddleware(
            Router(routes), minimum_size=MIN_COMPRESSED_BYTES, compresslevel=COMPRESSION_LEVEL
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, count and log a request, or start and stop with the server."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._live(scope, receive, send)
            return
        started = time.perf_counter()
        edge, path = self._edge, scope["path"]
        state = scope.get("state")
        connection: BoundedConnection | None = state.get(CONNECTION) if state else None
        exchange = _Exchange(send, connection)
        response: EdgeResponse | None
        try:
            try:
                if connection is None:
                    fields = read_fields(scope)
                else:
                    target = connection.start_request()
                    fields = read_fields(scope, target, is_large=connection.has_large_input)
                exchange.cors = edge.access.check(scope, fields)
                exchange.is_allowed = True
                if path == DELIVERY_PATH and scope["method"] == "POST":
                    exchange.route = "delivery"
                    body = _arrived_body(fields, connection)
                    if body is None:
                        body = await self._read_body(receive, fields)
                    response = await edge.delivery.respond(
                        scope["query_string"].decode("utf-8", "replace"),
                        body,
                        accepts_gzip=b"gzip" in fields.get(b"accept-encoding", b""),
                        address=None if edge.locate is None else client_address(Request(scope)),
                    )
                else:
                    response = await self._answer_other(scope, receive, fields, exchange)
            except (RequestRejected, HTTPException) as error:
                response = self._rejection(scope, exchange, error)
            except Exception as error:
                shown = self._shown_path(path, 500)
                log_internal_error(edge.log, "%s %s failed", scope["method"], shown, error=error)
                failure = self._failure(path)
                response = failure if not exchange.status else None
            if response is not None:
                exchange.status = response.status
                if connection is not None:
                    connection.start_whole_response()
                start, end = response_messages(response, exchange.cors)
                await send(start)
                await send(end)
        finally:
            if connection is not None:
                connection.finish_request()
            seconds, status = time.perf_counter() - started, exchange.status
            shown = self._shown_path(path, status)
            edge.access_log.add(exchange.route, scope["method"], shown, status, seconds)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        scope["state"][REGISTRY] = self._edge.connections
        syncing = asyncio.create_task(self._sync_metrics())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        syncing.cancel()
        await send({"type": "lifespan.shutdown.complete"})

    async def _sync_metrics(self) -> None:
        """Write the counts of the artifacts where other worker processes can read them."""
        while True:
            await asyncio.sleep(_SYNC_S)
            self._edge.metrics.sync()

    async def _read_body(self, receive: Receive, fields: Fields) -> bytes:
        return await read_body(receive, fields, timeout_s=self._edge.limits.request_s)

    async def _answer_other(
        self, scope: Scope, receive: Receive, fields: Fields, exchange: _Exchange
    ) -> EdgeResponse | None:
        """Return the response; None if Starlette has sent it."""
        path, method = scope["path"], scope["method"]
        if exchange.cors and method == "OPTIONS" and b"access-control-request-method" in fields:
            return answer_preflight(fields)
        if path == DELIVERY_PATH:
            exchange.route = "delivery"
            raise HTTPException(405, headers={"allow": "POST"})
        target = self._ofrep_target(path)
        if target is not None:
            return await self._answer_ofrep(target, scope, receive, fields, exchange)
        artifact = _ARTIFACT_PATH.fullmatch(path)
        if artifact is not None:
            exchange.route = "artifact"
            return await self._artifact(scope, fields, *artifact.groups())
        exchange.route = self._routes.get(path, _UNKNOWN_ROUTE)
        scope["app"] = self  # without an application, the router answers errors by itself
        await self._site(scope, receive, exchange.send)
        return None

    def _ofrep_target(self, path: str) -> OfrepTarget | None:
        """Return the target of a path of OFREP, if the edge has it."""
        if self._edge.ofrep is None or "/ofrep/v1/" not in path:
            return None
        return parse_ofrep_path(path)

    async def _answer_ofrep(
        self, target: OfrepTarget, scope: Scope, receive: Receive, fields: Fields, exchange: _Exchange
    ) -> EdgeResponse | None:
        """Return the response; None if it was an event stream, which has been sent."""
        ofrep = self._edge.ofrep
        assert ofrep is not None
        exchange.route = "ofrep_events" if target.is_event_stream else "ofrep"
        method = "GET" if target.is_event_stream else "POST"
        if scope["method"] != method:
            raise HTTPException(405, headers={"allow": method})
        if target.is_event_stream:
            query = query_fields(scope["query_string"].decode("latin-1"))
            ofrep.check_stream_key(fields, query.get("key", ""))
            last_event_id = fields.get(b"last-event-id", b"").decode("latin-1") or query.get("since", "")
            connection = exchange.connection
            await self._edge.event_streams.respond(
                target,
                last_event_id,
                receive,
                exchange.send,
                has_left=lambda: connection is not None and connection.is_closed_to_input,
            )
            return None
        ofrep.check_token(fields)
        body = _arrived_body(fields, exchange.connection)
        return await ofrep.respond(
            target,
            body if body is not None else await self._read_body(receive, fields),
            known_tags=fields.get(b"if-none-match", b"").decode("latin-1"),
            address=client_address(Request(scope)) if self._edge.locate is not None else _NO_ADDRESS,
        )

    async def _artifact(
        self, scope: Scope, fields: Fields, client: str, environment: str, file: str
    ) -> EdgeResponse:
        """Answer with an artifact.

        It has the rules of all properties, so the path's property does not matter.
        """
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405, headers={"allow": "GET, HEAD"})
        artifact = self._edge.artifacts.registry.for_path(client, environment)
        geo = geo_headers(self._edge.geo_values(Request(scope)))
        return await respond_with_artifact(
            artifact,
            file,
            known_tags=fields.get(b"if-none-match", b"").decode("latin-1"),
            accepts_gzip=b"gzip" in fields.get(b"accept-encoding", b""),
            geo=tuple((name.encode(), value.encode("latin-1")) for name, value in geo.items()),
        )

    def _rejection(
        self, scope: Scope, exchange: _Exchange, error: RequestRejected | HTTPException
    ) -> EdgeResponse:
        path, method = scope["path"], scope["method"]
        limit: Limit | None = None
        headers: Headers = ()
        if isinstance(error, RequestRejected):
            status, reason, limit = error.status, error.message, error.limit
            is_whole = exchange.route == "delivery" and exchange.is_allowed
        else:
            status, reason = error.status_code, error.detail
            headers = tuple((name.encode(), value.encode()) for name, value in (error.headers or {}).items())
            is_whole = False
        message = reason if is_whole else f"{method} {path}: {reason}"
        if exchange.route not in self._own_routes and (exchange.is_allowed or is_public_path(path)):
            rejected = RequestRejected(status, message)
            self._edge.history.add_rejected(rejected, at_ms=int(self._edge.now() * 1000))
        if limit is not None:
            self._edge.monitor.record(limit)
        if isinstance(error, RequestRejected):
            message = reason
        closes = limit is not None
        if self._ofrep_target(path) is not None:
            code: ErrorCode | None = "GENERAL" if status == 400 else None
            return failure_response(status, reason, code, headers=headers, closes=closes)
        return error_response(status, message, headers, closes=closes)

    def _failure(self, path: str) -> EdgeResponse:
        """Return the response to a request that failed for an unknown reason."""
        if self._ofrep_target(path) is not None:
            return failure_response(500, INTERNAL_ERROR)
        return error_response(500, INTERNAL_ERROR)

    def _shown_path(self, path: str, status: int) -> str:
        """Return the path if it is one of the edge's: any other, and a flag, can hold data."""
        if path in self._known_paths or 0 < status < 400:
            return path
        target = self._ofrep_target(path)
        if target is None:
            return _UNKNOWN_PATH
        return "/ofrep/v1/events" if target.is_event_stream else "/ofrep/v1/evaluate/flags"


def _arrived_body(fields: Fields, connection: BoundedConnection | None) -> bytes | None:
    """Return the body of a request, None if it has not arrived in one piece."""
    body = None if connection is None else connection.take_body()
    return None if body is None else arrived_body(body, fields)


class _Exchange(msgspec.Struct, eq=False):
    """State of a request and its response so far."""

    original_send: Send
    connection: BoundedConnection | None
    status: int = 0
    route: str = _UNKNOWN_ROUTE
    cors: Headers = ()
    is_allowed: bool = False

    async def send(self, message: Message) -> None:
        """Send a message of Starlette, with the status noted and the CORS headers added."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.connection is not None:
                self.connection.start_response()
            headers = MutableHeaders(scope=message)
            headers.add_vary_header("Origin")
            for name, value in cors_headers(self.cors):
                headers[name.decode()] = value.decode("latin-1")
        await self.original_send(message)


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), status, headers, "application/json")
