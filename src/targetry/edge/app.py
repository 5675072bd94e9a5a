"""The edge as an ASGI app: what Adobe's edge and CDN answer to an SDK, and what an operator asks.

POST /rest/v1/delivery                                       the Delivery API
GET  /<client>/<environment>/v1[/<property>]/rules.json      the artifact, and rules.bin
GET  /v1/geo                                                 the place of an address
GET  /healthz · /readyz · /metrics                           for whoever runs it
GET  / · /recent · /report.json · /plot.svg                  a page for people, and its parts
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, Final, NamedTuple, Protocol

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from targetry._runtime.ids import new_id as random_id
from targetry._runtime.rate_limited_log import RateLimitedLog
from targetry.edge.artifacts.registry import ArtifactRegistry, LoadedArtifact
from targetry.edge.artifacts.workload import is_heavy_body
from targetry.edge.delivery.geo import ClientAddress, client_address, geo_headers, geo_values
from targetry.edge.delivery.handler import (
    AddressLocator,
    DeliveryResult,
    ParsedRequest,
    parse_request,
    respond,
)
from targetry.edge.delivery.recorder import EventRecorder, EventSink
from targetry.edge.http.access_policy import AccessMiddleware, AccessPolicy, is_public_path
from targetry.edge.http.connection_registry import Door
from targetry.edge.http.errors import RequestRejected, error_body
from targetry.edge.http.heavy_requests import HeavyRequests
from targetry.edge.http.limits import Breaches, Limit, Limits
from targetry.edge.http.middleware import Guard
from targetry.edge.http.request_body import ZIP_IN_THREAD_BYTES, ZIP_LEVEL, read_body, zipped
from targetry.edge.observability.access_log import RequestNotes
from targetry.edge.observability.artifact_state import ArtifactState
from targetry.edge.observability.metrics import CONTENT_TYPE, Metrics
from targetry.edge.ui.page import Dashboard
from targetry.edge.ui.report_cache import ReportCache
from targetry.edge.ui.request_history import RequestHistory

_JSON: Final = "application/json"
_LIMITS: Final[dict[int, Limit]] = {408: "slow", 413: "body"}  # of a body whose rest is not waited for
SMALLEST_ZIPPED: Final = 1024  # bytes
RETRY_AFTER_S: Final = 1  # after notifications that could not be recorded
FORWARDED: Final = "x-forwarded-for"
_LOST: Final = "the events could not be recorded; send the request again"


class ArtifactKeeper(Protocol):
    """Where artifacts come from."""

    registry: ArtifactRegistry
    reloads: int
    refusals: int

    def states(self) -> list[ArtifactState]: ...


Respond = Callable[[Request, Exception], Response]


class Decided(NamedTuple):
    """A delivery request that was decided at `at_ms`; its body had `size` bytes."""

    answer: DeliveryResult
    at_ms: int
    size: int


Work = Callable[[], Decided]
"""What is left to be done for a heavy request; may be called by any thread."""


class Edge:
    """The endpoints, and what they stand on. `now` is the clock in epoch seconds, `report_cache` the reports of its ledger."""

    def __init__(
        self,
        artifacts: ArtifactKeeper,
        *,
        ledger: EventSink | None = None,
        locate: AddressLocator | None = None,
        cluster: str | None = None,
        now: Callable[[], float] = time.time,
        new_id: Callable[[], str] = random_id,
        log: logging.Logger | None = None,
        report_cache: ReportCache | None = None,
        limits: Limits = Limits(),  # noqa: B008  it is immutable
        access: AccessPolicy | None = None,
    ) -> None:
        self._history = RequestHistory(int(time.time() * 1000))
        self.dashboard = Dashboard(lambda: artifacts.registry, artifacts.states, self._history, report_cache)
        self.metrics = Metrics(artifacts.states, lambda: (artifacts.reloads, artifacts.refusals))
        self._artifacts = artifacts
        self._locate = locate
        self._cluster = cluster
        self._now = now
        self._new_id = new_id
        self.log = log or logging.getLogger("targetry.edge")
        self._limited_log = RateLimitedLog(self.log)
        self.recorder = EventRecorder(ledger, self.metrics, self.log)
        self.notes = RequestNotes(self.metrics, self.log)
        self.limits = limits
        self.access = access or AccessPolicy()
        self.breaches = Breaches(limits, self.metrics, self.log)
        self._heavy = HeavyRequests(self.breaches)
        self.door = Door(limits, self.breaches, self.metrics)

    async def delivery(self, request: Request) -> Response:
        body = await read_body(request, timeout_s=self.limits.request_s)
        address = client_address(request) if self.looks_places_up else ClientAddress()
        decided = self.begin(request.url.query, body, address)
        if not isinstance(decided, Decided):
            decided = await self.run_heavy(decided)
        (is_safe,) = await self.recorder.record([decided.answer.events])
        status, text = self.settle(decided, is_safe)
        if status == 204:
            return Response(status_code=204)
        headers = {"retry-after": str(RETRY_AFTER_S)} if status == 503 else {}
        return await _json_text(request, text, status, headers)

    @property
    def looks_places_up(self) -> bool:
        """Whether the address that asks matters to the answer."""
        return self._locate is not None

    def begin(self, query: str, body: bytes, address: ClientAddress = ClientAddress()) -> Decided | Work:  # noqa: B008  it is immutable
        """Decide a delivery request of the client at `address`, or return the work that is left, where it is heavy.

        The events of what was decided are to be recorded before `settle`.
        """
        if is_heavy_body(body):
            return partial(self._decide_body, query, body, address)
        parsed = parse_request(body, query, self._artifacts.registry)
        if isinstance(parsed, ParsedRequest) and parsed.workload.is_heavy:
            return partial(self._decide, parsed, len(body), address)
        return self._decide(parsed, len(body), address)

    async def run_heavy(self, work: Work) -> Decided:
        """Do what `begin` has left to be done."""
        try:
            return await self._heavy.run(work)
        except RequestRejected as refused:
            text = error_body(refused.status, refused.message)
            return Decided(DeliveryResult(refused.status, text), int(self._now() * 1000), 0)

    def _decide_body(self, query: str, body: bytes, address: ClientAddress) -> Decided:
        return self._decide(parse_request(body, query, self._artifacts.registry), len(body), address)

    def _decide(self, parsed: ParsedRequest | DeliveryResult, size: int, address: ClientAddress) -> Decided:
        now_ms = int(self._now() * 1000)
        if isinstance(parsed, DeliveryResult):
            return Decided(parsed, now_ms, size)
        decided = respond(
            parsed,
            now_ms=now_ms,
            new_id=self._new_id,
            cluster=self._cluster,
            locate=self._locate,
            address=address.text,
            is_recorded=self.recorder.is_enabled,
        )
        if address.is_invalid:
            decided = msgspec.structs.replace(decided, ignored_fields=(*decided.ignored_fields, FORWARDED))
        for problem in decided.problems:
            self.metrics.problems.inc()
            activity, reason = problem.activity_id, problem.reason
            self._limited_log.warning(
                f"rule: {reason}", "a rule of activity %s is skipped: %s", activity, reason
            )
        return Decided(decided, now_ms, size)

    def settle(self, decided: Decided, is_safe: bool) -> tuple[int, bytes]:
        """Status and JSON of the answer. `is_safe`: whether what was to be recorded is."""
        answer, at_ms, size = decided
        for field in answer.ignored_fields:
            self.metrics.unread.labels(field).inc()
        if answer.status == 413:
            self.breaches.note("work")
        lost = RequestRejected(503, _LOST) if answer.notifications and not is_safe else None
        self._history.add(answer, at_ms=at_ms, size=size, rejected=lost)
        if lost is not None:
            return lost.status, error_body(lost.status, lost.message)
        self._count(answer)
        return answer.status, answer.body

    def listed(self, respond: Respond) -> Respond:
        """Return a handler that also adds the request to the history; requests for the operator's own paths are left out."""

        def listing(request: Request, error: Exception) -> Response:
            endpoint = request.scope.get("endpoint")
            is_page = getattr(endpoint, "__self__", None) is self.dashboard
            is_denied = endpoint is None and isinstance(error, RequestRejected)
            if not is_page and (is_public_path(request.url.path) or not is_denied):
                told = (
                    error
                    if endpoint == self.delivery and isinstance(error, RequestRejected)
                    else _with_place(request, error)
                )
                self._history.add_rejected(told, at_ms=int(self._now() * 1000))
            return respond(request, error)

        return listing

    def _count(self, answer: DeliveryResult) -> None:
        if answer.notifications:
            self.metrics.notifications.inc(answer.notifications)
        if answer.telemetry:
            self.metrics.telemetry.inc(answer.telemetry)

    async def artifact(self, request: Request) -> Response:
        """Property segments are let through: the rules of all properties are in one artifact, and say so."""
        path = request.path_params
        if path["file"] not in ("rules.json", "rules.bin"):
            raise HTTPException(404)
        served = self._artifacts.registry.for_path(path["client"], path["environment"])
        headers = {
            "etag": f'{served.etag[:-1]}{path["file"][5:]}"',
            "cache-control": "no-cache",
            "vary": "accept-encoding",
            **geo_headers(self._geo_values(request)),
        }
        if _is_known(request, headers["etag"]):
            return Response(status_code=304, headers=headers)
        if path["file"] == "rules.bin":
            return await _binary(served, headers)
        return await _text(request, served, headers)

    async def geo(self, request: Request) -> Response:
        values = self._geo_values(request)
        headers = {"cache-control": "no-store", **geo_headers(values)}
        return Response(msgspec.json.encode(values), headers=headers, media_type=_JSON)

    def _geo_values(self, request: Request) -> dict[str, Any]:
        values, is_unread = geo_values(request, self._locate)
        if is_unread:
            self.metrics.unread.labels(FORWARDED).inc()
        return values

    async def healthz(self, request: Request) -> Response:
        """The process answers."""
        return _json({"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        """There are rules to decide by; a refused file is told, and does not make it unready."""
        is_ready = bool(self._artifacts.registry.artifacts)
        states = self._artifacts.states()
        body = {"status": "ready" if is_ready else "no artifact", "artifacts": states}
        return _json(body, 200 if is_ready else 503)

    async def exposition(self, request: Request) -> Response:
        self.notes.flush()
        return Response(self.metrics.text(), media_type=CONTENT_TYPE)


def edge_app(edge: Edge) -> Starlette:
    """Return the ASGI app of an edge. The caller closes the parts that the edge was made of."""
    respond = edge.listed(partial(_refused, edge.breaches))
    routes = [
        Route("/rest/v1/delivery", edge.delivery, methods=["POST"]),
        Route("/v1/geo", edge.geo),
        Route("/healthz", edge.healthz),
        Route("/readyz", edge.readyz),
        Route("/metrics", edge.exposition, name="metrics"),
        Route("/", edge.dashboard.page),
        Route("/recent", edge.dashboard.recent_requests),
        Route("/report.json", edge.dashboard.report),
        Route("/plot.svg", edge.dashboard.plot),
        Route("/{client}/{environment}/v1/{file}", edge.artifact),
        Route("/{client}/{environment}/v1/{property}/{file}", edge.artifact),
    ]
    paths = frozenset(route.path for route in routes if "{" not in route.path)
    return Starlette(
        routes=routes,
        middleware=[
            Middleware(Guard, paths=paths, notes=edge.notes, log=edge.log),
            Middleware(AccessMiddleware, policy=edge.access, respond=respond),
            Middleware(GZipMiddleware, minimum_size=SMALLEST_ZIPPED, compresslevel=ZIP_LEVEL),
        ],
        exception_handlers={
            RequestRejected: respond,
            HTTPException: edge.listed(_http_error),
        },
    )


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type=_JSON)


async def _text(request: Request, served: LoadedArtifact, headers: dict[str, str]) -> Response:
    """As JSON, gzipped once for all who take it so."""
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(served.text, headers=headers, media_type=_JSON)
    zipped = await run_in_threadpool(lambda: served.gzipped)
    return Response(zipped, headers={**headers, "content-encoding": "gzip"}, media_type=_JSON)


async def _json_text(request: Request, text: bytes, status: int, headers: dict[str, str]) -> Response:
    """A large one is compressed by a thread; the middleware compresses the others."""
    if len(text) < ZIP_IN_THREAD_BYTES or "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(text, status, headers, media_type=_JSON)
    told = {**headers, "content-encoding": "gzip", "vary": "Accept-Encoding"}
    return Response(await run_in_threadpool(zipped, text), status, told, media_type=_JSON)


async def _binary(served: LoadedArtifact, headers: dict[str, str]) -> Response:
    hidden = await run_in_threadpool(lambda: served.obfuscated)
    if hidden is None:
        raise RequestRejected(
            404, "rules.bin needs the organization (option --organization-id); rules.json is served"
        )
    return Response(hidden, headers=headers, media_type="application/octet-stream")


def _is_known(request: Request, etag: str) -> bool:
    """Whether `if-none-match` names the tag; weakly, as RFC 9110 has it."""
    asked = request.headers.get("if-none-match", "")
    tags = {tag.strip().removeprefix("W/") for tag in asked.split(",")}
    return "*" in tags or etag.removeprefix("W/") in tags


def _refused(breaches: Breaches, request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestRejected)
    if error.status in _LIMITS:
        breaches.note(_LIMITS[error.status])
    headers = {"connection": "close"} if error.status in _LIMITS else None
    return Response(error_body(error.status, error.message), error.status, headers, _JSON)


def _http_error(request: Request, error: Exception) -> Response:
    """404 and 405 of the router, in the API's shape."""
    assert isinstance(error, HTTPException)
    told = _with_place(request, error)
    return Response(error_body(told.status, told.message), told.status, error.headers, _JSON)


def _with_place(request: Request, error: Exception) -> RequestRejected:
    """The refusal, saying of what."""
    if isinstance(error, HTTPException):
        status, reason = error.status_code, HTTPStatus(error.status_code).phrase
    else:
        assert isinstance(error, RequestRejected)
        status, reason = error.status, error.message
    return RequestRejected(status, f"{request.method} {request.url.path}: {reason}")
