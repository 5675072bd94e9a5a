"""What requests make happen goes to a recorder, and what becomes of it is counted and told."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol

from starlette.concurrency import run_in_threadpool

from targetry.edge.delivery.lost_events import LostEvents
from targetry.edge.observability.metrics import Metrics
from targetry.errors import OptionError
from targetry.ledger.event import Event


class EventSink(Protocol):
    """Where events go. `record` returns when they are durable; False stands for one that was there before. A coroutine
    `arecord` of the same meaning is used where there is one."""

    def record(self, events: Sequence[Event], /) -> list[bool]: ...

    def close(self) -> None: ...


class EventRecorder:
    """The recorder of an edge, if it has one."""

    def __init__(self, recorder: EventSink | None, metrics: Metrics, log: logging.Logger) -> None:
        self._record = _awaitable(recorder)
        self._metrics = metrics
        self._losses = LostEvents(log)

    @property
    def is_enabled(self) -> bool:
        return self._record is not None

    async def record(self, requests: Sequence[Sequence[Event]]) -> list[bool]:
        """Record the events of several requests together; of each request whether its events are safe. Never raises."""
        try:
            is_safe = await self._is_safe([event for events in requests for event in events])
        except OptionError as error:  # one that cannot be recorded must not take the others with it
            if len(requests) > 1:
                return [safe for events in requests for safe in await self.record([events])]
            is_safe = self._lost(requests[0], error)
        return [is_safe or not events for events in requests]

    async def _is_safe(self, events: Sequence[Event]) -> bool:
        if self._record is None or not events:
            return True
        try:
            fresh = await self._record(events)
        except OptionError:
            raise
        except Exception as error:
            return self._lost(events, error)
        self._losses.end()
        told = zip(events, fresh, strict=True)
        self._count((event.kind, "recorded" if is_fresh else "seen") for event, is_fresh in told)
        return True

    def _lost(self, events: Sequence[Event], error: Exception) -> bool:
        self._losses.note(len(events), error)
        self._count((event.kind, "lost") for event in events)
        return False

    def _count(self, outcomes: Iterable[tuple[str, str]]) -> None:
        for labels, count in Counter(outcomes).items():
            self._metrics.events.labels(*labels).inc(count)


def _awaitable(recorder: EventSink | None) -> Callable[[Sequence[Event]], Awaitable[list[bool]]] | None:
    if recorder is None:
        return None
    awaits: Callable[[Sequence[Event]], Awaitable[list[bool]]] | None = getattr(recorder, "arecord", None)
    return awaits or (lambda events: run_in_threadpool(recorder.record, events))
