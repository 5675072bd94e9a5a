"""Recording of events in an event sink, with metrics and log lines on the outcome."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol

from prometheus_client import Counter
from starlette.concurrency import run_in_threadpool

from targetry.edge.delivery.lost_events import LostEventLog
from targetry.edge.delivery.segments import SegmentReader
from targetry.edge.observability.metrics import Metrics
from targetry.errors import OptionError
from targetry.ledger.errors import LedgerError
from targetry.ledger.event import LedgerEvent


class EventSink(Protocol):
    """Store of events. `record` returns when they are durable, with False for known ones.

    A coroutine method `arecord` with the same contract is used if there is one.
    """

    def record(self, events: Sequence[LedgerEvent], /) -> list[bool]: ...

    def close(self) -> None: ...


class EventRecorder:
    """Records events in the sink of an edge, if the edge has one.

    Attributes:
        segments: Reads the facts of impressions, None if none are recorded.
    """

    def __init__(
        self,
        recorder: EventSink | None,
        metrics: Metrics,
        log: logging.Logger,
        segments: SegmentReader | None = None,
    ) -> None:
        self.segments = segments
        self._write = _async_record(recorder)
        self._metrics = metrics
        self._losses = LostEventLog(log)
        self._counters: dict[tuple[str, str], Counter] = {}

    @property
    def is_enabled(self) -> bool:
        return self._write is not None

    async def record(self, requests: Sequence[Sequence[LedgerEvent]]) -> list[bool]:
        """Record the events of several requests together. Never raises.

        Returns:
            For each request whether its events are recorded.
        """
        try:
            is_recorded = await self._record_events([event for events in requests for event in events])
        except OptionError as error:  # an invalid event must not affect the other requests
            if len(requests) > 1:
                each = await asyncio.gather(*(self.record([events]) for events in requests))
                return [is_recorded for (is_recorded,) in each]
            is_recorded = self._lost(requests[0], error)
        return [is_recorded or not events for events in requests]

    async def _record_events(self, events: Sequence[LedgerEvent]) -> bool:
        if self._write is None or not events:
            return True
        try:
            are_new = await self._write(events)
        except OptionError:
            raise
        except Exception as error:
            return self._lost(events, error)
        self._losses.recovered()
        outcomes = zip(events, are_new, strict=True)
        self._count((event.kind, "recorded" if is_new else "seen") for event, is_new in outcomes)
        if unknown := sum(1 for event in events if event.token and not event.activity_id):
            self._metrics.unknown_tokens.inc(unknown)
        return True

    def _lost(self, events: Sequence[LedgerEvent], error: Exception) -> bool:
        self._losses.add(len(events), error)
        self._metrics.lost_events.labels(_reason(error)).inc(len(events))
        self._count((event.kind, "lost") for event in events)
        return False

    def _count(self, outcomes: Iterable[tuple[str, str]]) -> None:
        counts: dict[tuple[str, str], int] = {}
        for labels in outcomes:
            counts[labels] = counts.get(labels, 0) + 1
        for labels, count in counts.items():
            counter = self._counters.get(labels)
            if counter is None:
                counter = self._counters[labels] = self._metrics.events.labels(*labels)
            counter.inc(count)


def _reason(error: Exception) -> str:
    """Return one word for the cause of a loss."""
    if isinstance(error, LedgerError):
        return error.reason
    return "invalid" if isinstance(error, OptionError) else "error"


def _async_record(
    recorder: EventSink | None,
) -> Callable[[Sequence[LedgerEvent]], Awaitable[list[bool]]] | None:
    if recorder is None:
        return None
    awaits: Callable[[Sequence[LedgerEvent]], Awaitable[list[bool]]] | None = getattr(
        recorder, "arecord", None
    )
    return awaits or (lambda events: run_in_threadpool(recorder.record, events))
