"""Endpoint of the Delivery API: decides requests, records events, and builds the responses."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol

import msgspec

from targetry._runtime.ids import new_id as random_id
from targetry.edge.artifacts.registry import ArtifactRegistry
from targetry.edge.artifacts.workload import is_heavy_body
from targetry.edge.delivery.geo import ClientAddress
from targetry.edge.delivery.handler import (
    AddressLocator,
    DeliveryResult,
    ParsedRequest,
    parse_request,
    respond,
)
from targetry.edge.delivery.recorder import EventRecorder
from targetry.edge.delivery.request_batch import PreparedDecision, RequestBatch
from targetry.edge.delivery.rule_problems import RuleProblems
from targetry.edge.http.errors import RequestRejected, error_body
from targetry.edge.http.limits import LimitMonitor
from targetry.edge.http.request_body import COMPRESS_IN_THREAD_BYTES, compress
from targetry.edge.http.response import GZIP, JSON, VARY_ENCODING_AND_ORIGIN, VARY_ORIGIN, EdgeResponse
from targetry.edge.observability.metrics import Metrics
from targetry.ledger.event import LedgerEvent
from targetry.recording.log import RequestLog

FORWARDED: Final = "x-forwarded-for"
MIN_COMPRESSED_BYTES: Final = 1024
RETRY_AFTER_S: Final = 1  # after notifications that could not be recorded

_NOT_RECORDED: Final = "the events could not be recorded; send the request again"
_SMALL: Final = (JSON, VARY_ORIGIN)
_SMALL_RETRY: Final = (*_SMALL, (b"retry-after", b"%d" % RETRY_AFTER_S))
_PLAIN: Final = (JSON, VARY_ENCODING_AND_ORIGIN)
_COMPRESSED: Final = (*_PLAIN, GZIP)


class DeliveryHistory(Protocol):
    """Where decided requests are kept for the dashboard."""

    def add(
        self, result: DeliveryResult, /, *, at_ms: int, size: int, rejected: RequestRejected | None = None
    ) -> None:
        """Add a request that was decided at `at_ms`, with a body of `size` bytes."""


class DecidedRequest(msgspec.Struct, frozen=True, gc=False):
    """A request that was decided at `at_ms` (epoch milliseconds), with a body of `size` bytes."""

    result: DeliveryResult
    at_ms: int
    size: int

    @property
    def events(self) -> Sequence[LedgerEvent]:
        return self.result.events


class _ReceivedRequest(msgspec.Struct, frozen=True, gc=False):
    """Query and body of a request, and the address of its client."""

    query: str
    body: bytes
    address: ClientAddress | None


class DeliveryEndpoint:
    """The Delivery API of one edge; belongs to its event loop.

    Args:
        artifacts: Returns the artifacts in use.
        recorder: Records events.
        history: Keeps the latest requests.
        metrics: Counts notifications, telemetry entries and problems.
        monitor: Counts the requests that exceed a limit.
        log: The edge's logger.
        request_log: Records requests with their responses.
        locate: Finds the location of an IP address.
        cluster: Cluster of tnt ids and of `edgeHost`.
        now: Clock, in epoch seconds.
        new_id: Makes ids.
    """

    def __init__(
        self,
        artifacts: Callable[[], ArtifactRegistry],
        *,
        recorder: EventRecorder,
        history: DeliveryHistory,
        metrics: Metrics,
        monitor: LimitMonitor,
        log: logging.Logger,
        request_log: RequestLog | None = None,
        locate: AddressLocator | None = None,
        cluster: str | None = None,
        now: Callable[[], float] = time.time,
        new_id: Callable[[], str] = random_id,
    ) -> None:
        self._artifacts = artifacts
        self._recorder = recorder
        self._batch: RequestBatch[_ReceivedRequest, DecidedRequest, tuple[int, bytes]] = RequestBatch(
            self._prepare, self._finish, recorder=recorder, monitor=monitor
        )
        self._history = history
        self._metrics = metrics
        self._monitor = monitor
        self._problems = RuleProblems(metrics, log)
        self._request_log = request_log
        self._locate = locate
        self._cluster = cluster
        self._now = now
        self._new_id = new_id

    async def respond(
        self, query: str, body: bytes, *, accepts_gzip: bool, address: ClientAddress | None = None
    ) -> EdgeResponse:
        """Return the response to a request of the client at `address`."""
        try:
            status, text = await self._batch.decide(_ReceivedRequest(query, body, address))
        except RequestRejected as rejected:
            status, text = rejected.status, error_body(rejected.status, rejected.message)
            self._history.add(DeliveryResult(status, text), at_ms=int(self._now() * 1000), size=0)
        if len(text) < MIN_COMPRESSED_BYTES:
            return EdgeResponse(status, text, _SMALL if status != 503 else _SMALL_RETRY)
        if not accepts_gzip:
            return EdgeResponse(status, text, _PLAIN)
        if len(text) < COMPRESS_IN_THREAD_BYTES:
            return EdgeResponse(status, compress(text), _COMPRESSED)
        return EdgeResponse(status, await asyncio.to_thread(compress, text), _COMPRESSED)

    def _prepare(self, one: _ReceivedRequest) -> PreparedDecision[DecidedRequest]:
        """Parse a request, unless that takes long, and return the call that decides it."""
        body, address = one.body, one.address
        if is_heavy_body(body):
            return PreparedDecision(
                lambda: self._decide(parse_request(body, one.query, self._artifacts()), len(body), address),
                is_heavy=True,
            )
        parsed = parse_request(body, one.query, self._artifacts())
        is_heavy = isinstance(parsed, ParsedRequest) and parsed.workload.is_heavy
        return PreparedDecision(partial(self._decide, parsed, len(body), address), is_heavy)

    def _decide(
        self, parsed: ParsedRequest | DeliveryResult, size: int, address: ClientAddress | None
    ) -> DecidedRequest:
        now_ms = int(self._now() * 1000)
        if isinstance(parsed, DeliveryResult):
            return DecidedRequest(parsed, now_ms, size)
        result = respond(
            parsed,
            now_ms=now_ms,
            new_id=self._new_id,
            cluster=self._cluster,
            locate=self._locate,
            address=None if address is None else address.text,
            is_recorded=self._recorder.is_enabled,
            segments=self._recorder.segments,
        )
        if address is not None and address.is_invalid:
            result = msgspec.structs.replace(result, ignored_fields=(*result.ignored_fields, FORWARDED))
        if result.problems:
            self._problems.note(result.problems)
        return DecidedRequest(result, now_ms, size)

    def _finish(self, _: _ReceivedRequest, decided: DecidedRequest, is_recorded: bool) -> tuple[int, bytes]:
        """Count a request and return status and JSON of its response."""
        result, at_ms = decided.result, decided.at_ms
        for field in result.ignored_fields:
            self._metrics.unread.labels(field).inc()
        if result.status == 413:
            self._monitor.record("work")
        lost = None
        if result.notifications:
            lost = None if is_recorded else RequestRejected(503, _NOT_RECORDED)
        self._history.add(result, at_ms=at_ms, size=decided.size, rejected=lost)
        if lost is not None:
            return lost.status, error_body(lost.status, lost.message)
        if result.notifications:
            self._metrics.notifications.inc(result.notifications)
        if result.telemetry:
            self._metrics.telemetry.inc(result.telemetry)
        if self._request_log is not None:
            self._record_request(self._request_log, result, at_ms)
        return result.status, result.body

    def _record_request(self, log: RequestLog, result: DeliveryResult, at_ms: int) -> None:
        """Record a request that was answered with offers."""
        if result.status == 200 and result.request is not None:
            log.record(at_ms, result.request, result.body)
