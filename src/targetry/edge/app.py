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
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Final, Protocol

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from targetry.ids import new_id as random_id

from .artifacts import ArtifactState
from .bodies import read_body
from .delivery import Answer, FindPlace, deliver
from .event import Event
from .guard import Guard
from .ledger_view import LedgerView
from .limits import Breaches, Limit, Limits
from .lost_events import LostEvents
from .metrics import CONTENT_TYPE, Metrics
from .page import Page
from .places import asked_address, geo_headers, geo_values
from .recent import Recent
from .refusal import Refused, error_body
from .request_notes import RequestNotes
from .shelf import Served, Shelf

_JSON: Final = "application/json"
_LIMITS: Final[dict[int, Limit]] = {408: "slow", 413: "body"}  # of a body whose rest is not waited for
_SMALLEST_ZIPPED: Final = 1024
_LOST: Final = "the events could not be recorded; send the request again"


class Recorder(Protocol):
    """Where events go. `record` returns when they are durable; False stands for one that was there before. A coroutine
    `arecord` of the same meaning is used where there is one."""

    def record(self, events: Sequence[Event], /) -> list[bool]: ...

    def close(self) -> None: ...


class ArtifactKeeper(Protocol):
    """Where artifacts come from."""

    shelf: Shelf
    reloads: int
    refusals: int

    def states(self) -> list[ArtifactState]: ...


Respond = Callable[[Request, Exception], Response]


class Edge:
    """The endpoints, and what they stand on. `now` is the clock in epoch seconds, `view` what the page shows of the ledger."""

    def __init__(
        self,
        artifacts: ArtifactKeeper,
        *,
        ledger: Recorder | None = None,
        find_place: FindPlace | None = None,
        cluster: str | None = None,
        now: Callable[[], float] = time.time,
        new_id: Callable[[], str] = random_id,
        log: logging.Logger | None = None,
        view: LedgerView | None = None,
        limits: Limits = Limits(),  # noqa: B008  it is immutable
    ) -> None:
        self._recent = Recent(int(time.time() * 1000))
        self.page = Page(lambda: artifacts.shelf, artifacts.states, self._recent, view)
        self.metrics = Metrics(artifacts.states, lambda: (artifacts.reloads, artifacts.refusals))
        self._artifacts = artifacts
        self._record = _recording(ledger)
        self._find_place = find_place
        self._cluster = cluster
        self._now = now
        self._new_id = new_id
        self.log = log or logging.getLogger("targetry.edge")
        self.notes = RequestNotes(self.metrics, self.log)
        self._lost = LostEvents(self.log)
        self.limits = limits
        self.breaches = Breaches(limits, self.metrics, self.log)

    async def delivery(self, request: Request) -> Response:
        body = await read_body(request, timeout_s=self.limits.request_s)
        now_ms = int(self._now() * 1000)
        answer = deliver(
            body,
            request.url.query,
            shelf=self._artifacts.shelf,
            now_ms=now_ms,
            new_id=self._new_id,
            cluster=self._cluster,
            find_place=self._find_place,
            address=asked_address(request) if self._find_place is not None else None,
        )
        for problem in answer.problems:
            self.metrics.problems.inc()
            self.log.warning("a rule of activity %s is skipped: %r", problem.activity_id, problem.error)
        is_safe = not answer.events or await self._recorded(answer.events)
        lost = Refused(503, _LOST) if answer.notifications and not is_safe else None
        self._recent.add(answer, at_ms=now_ms, size=len(body), refused=lost)
        if lost is not None:
            return _refused(request, lost)
        self._count(answer)
        if answer.status == 204:
            return Response(status_code=204)
        return Response(answer.body, answer.status, media_type=_JSON)

    async def _recorded(self, events: Sequence[Event]) -> bool:
        """Whether the events are safe. Where they are not, a visitor still gets his offers, and the operator a reason."""
        if self._record is None:
            return True
        try:
            fresh = await self._record(events)
        except Exception as error:
            self._lost.note(len(events), error)
            for event in events:
                self.metrics.events.labels(event.kind, "lost").inc()
            return False
        self._lost.end()
        for event, is_fresh in zip(events, fresh, strict=True):
            self.metrics.events.labels(event.kind, "recorded" if is_fresh else "seen").inc()
        return True

    def listed(self, respond: Respond) -> Respond:
        """The same, with the request among the last ones that the page shows; not those for the page itself."""

        def listing(request: Request, error: Exception) -> Response:
            endpoint = request.scope.get("endpoint")
            if getattr(endpoint, "__self__", None) is not self.page:
                told = (
                    error
                    if endpoint == self.delivery and isinstance(error, Refused)
                    else _with_place(request, error)
                )
                self._recent.add_refused(told, at_ms=int(self._now() * 1000))
            return respond(request, error)

        return listing

    def _count(self, answer: Answer) -> None:
        if answer.notifications:
            self.metrics.notifications.inc(answer.notifications)
        if answer.telemetry:
            self.metrics.telemetry.inc(answer.telemetry)

    async def artifact(self, request: Request) -> Response:
        """Property segments are let through: the rules of all properties are in one artifact, and say so."""
        path = request.path_params
        if path["file"] not in ("rules.json", "rules.bin"):
            raise HTTPException(404)
        served = self._artifacts.shelf.of_path(path["client"], path["environment"])
        headers = {
            "etag": f'{served.etag[:-1]}{path["file"][5:]}"',
            "cache-control": "no-cache",
            "vary": "accept-encoding",
            **geo_headers(geo_values(request, self._find_place)),
        }
        if _is_known(request, headers["etag"]):
            return Response(status_code=304, headers=headers)
        if path["file"] == "rules.bin":
            return await _binary(served, headers)
        return await _text(request, served, headers)

    async def geo(self, request: Request) -> Response:
        values = geo_values(request, self._find_place)
        headers = {"cache-control": "no-store", **geo_headers(values)}
        return Response(msgspec.json.encode(values), headers=headers, media_type=_JSON)

    async def healthz(self, request: Request) -> Response:
        """The process answers."""
        return _json({"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        """There are rules to decide by; a refused file is told, and does not make it unready."""
        is_ready = bool(self._artifacts.shelf.served)
        states = self._artifacts.states()
        body = {"status": "ready" if is_ready else "no artifact", "artifacts": states}
        return _json(body, 200 if is_ready else 503)

    async def exposition(self, request: Request) -> Response:
        self.notes.flush()
        return Response(self.metrics.text(), media_type=CONTENT_TYPE)


def edge_app(edge: Edge) -> Starlette:
    """The app of an edge; closing what the edge stands on is its maker's affair."""
    return Starlette(
        routes=[
            Route("/rest/v1/delivery", edge.delivery, methods=["POST"]),
            Route("/v1/geo", edge.geo),
            Route("/healthz", edge.healthz),
            Route("/readyz", edge.readyz),
            Route("/metrics", edge.exposition, name="metrics"),
            Route("/", edge.page.page),
            Route("/recent", edge.page.recent_requests),
            Route("/report.json", edge.page.report),
            Route("/plot.svg", edge.page.plot),
            Route("/{client}/{environment}/v1/{file}", edge.artifact),
            Route("/{client}/{environment}/v1/{property}/{file}", edge.artifact),
        ],
        middleware=[
            Middleware(Guard, notes=edge.notes, log=edge.log),
            Middleware(
                CORSMiddleware,
                allow_origin_regex=".*",  # at.js asks with credentials, to which `*` is no answer
                allow_credentials=True,
                allow_methods=["GET", "POST"],
                allow_headers=["*"],
                expose_headers=["etag"],
            ),
            Middleware(GZipMiddleware, minimum_size=_SMALLEST_ZIPPED, compresslevel=4),
        ],
        exception_handlers={
            Refused: edge.listed(partial(_refused, edge.breaches)),
            HTTPException: edge.listed(_http_error),
        },
    )


def _recording(ledger: Recorder | None) -> Callable[[Sequence[Event]], Awaitable[list[bool]]] | None:
    if ledger is None:
        return None
    awaits: Callable[[Sequence[Event]], Awaitable[list[bool]]] | None = getattr(ledger, "arecord", None)
    return awaits or (lambda events: run_in_threadpool(ledger.record, events))


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type=_JSON)


async def _text(request: Request, served: Served, headers: dict[str, str]) -> Response:
    """As JSON, gzipped once for all who take it so."""
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(served.text, headers=headers, media_type=_JSON)
    zipped = await run_in_threadpool(lambda: served.zipped)
    return Response(zipped, headers={**headers, "content-encoding": "gzip"}, media_type=_JSON)


async def _binary(served: Served, headers: dict[str, str]) -> Response:
    hidden = await run_in_threadpool(lambda: served.hidden)
    if hidden is None:
        raise Refused(
            404, "rules.bin needs the organization (option --organization-id); rules.json is served"
        )
    return Response(hidden, headers=headers, media_type="application/octet-stream")


def _is_known(request: Request, etag: str) -> bool:
    """Whether `if-none-match` names the tag; weakly, as RFC 9110 has it."""
    asked = request.headers.get("if-none-match", "")
    tags = {tag.strip().removeprefix("W/") for tag in asked.split(",")}
    return "*" in tags or etag.removeprefix("W/") in tags


def _refused(breaches: Breaches, request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    if error.status in _LIMITS:
        breaches.note(_LIMITS[error.status])
    headers = {"connection": "close"} if error.status in _LIMITS else None
    return Response(error_body(error.status, error.message), error.status, headers, _JSON)


def _http_error(request: Request, error: Exception) -> Response:
    """404 and 405 of the router, in the API's shape."""
    assert isinstance(error, HTTPException)
    told = _with_place(request, error)
    return Response(error_body(told.status, told.message), told.status, error.headers, _JSON)


def _with_place(request: Request, error: Exception) -> Refused:
    """The refusal, saying of what."""
    if isinstance(error, HTTPException):
        status, reason = error.status_code, HTTPStatus(error.status_code).phrase
    else:
        assert isinstance(error, Refused)
        status, reason = error.status, error.message
    return Refused(status, f"{request.method} {request.url.path}: {reason}")
