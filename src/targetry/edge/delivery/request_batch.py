"""Batches of requests: those of one turn of the event loop are decided together.

All requests that arrive in one turn are decided one after the other, and only then answered: a
decision after another one takes half as long as one after a response, which leaves little in the
processor's caches. Their events are recorded by one commit. Requests that take long are decided by
a thread, one at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from targetry.edge.delivery.recorder import EventRecorder
from targetry.edge.http.heavy_requests import HeavyRequests
from targetry.edge.http.limits import LimitMonitor
from targetry.ledger.event import LedgerEvent


class BatchedDecision(Protocol):
    """Decision of a request, with the events to record before it is answered."""

    @property
    def events(self) -> Sequence[LedgerEvent]: ...


Q = TypeVar("Q")
D = TypeVar("D", bound=BatchedDecision)


class _WaitingRequest(msgspec.Struct, Generic[Q, D], eq=False):
    """Request that waits for its decision, and for whether its events are recorded."""

    request: Q
    decided: asyncio.Future[tuple[D, bool]]

    def resolve(self, decision: D, is_recorded: bool) -> None:
        if not self.decided.done():  # it is done if the request was cancelled
            self.decided.set_result((decision, is_recorded))

    def fail(self, error: Exception) -> None:
        if not self.decided.done():
            self.decided.set_exception(error)


class RequestBatch(Generic[Q, D]):
    """The requests of one endpoint; belongs to its event loop.

    Args:
        decide: Decides a request, or returns a callable for a thread if that takes long.
        recorder: Records events.
        monitor: Counts the requests for which too many large ones are waiting.
    """

    def __init__(
        self,
        decide: Callable[[Q], D | Callable[[], D]],
        *,
        recorder: EventRecorder,
        monitor: LimitMonitor,
    ) -> None:
        self._decide = decide
        self._recorder = recorder
        self._heavy = HeavyRequests(monitor)
        self._waiting: list[_WaitingRequest[Q, D]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def decide(self, request: Q) -> tuple[D, bool]:
        """Return the decision of a request, and whether its events are recorded.

        Raises:
            RequestRejected: 503, too many large requests are waiting; or what `decide` raises.
        """
        loop = asyncio.get_running_loop()
        waiting: _WaitingRequest[Q, D] = _WaitingRequest(request, loop.create_future())
        self._waiting.append(waiting)
        if len(self._waiting) == 1:
            loop.call_soon(self._decide_all, loop)
        return await waiting.decided

    def _decide_all(self, loop: asyncio.AbstractEventLoop) -> None:
        """Decide the requests that have arrived in one turn of the event loop."""
        waiting, self._waiting = self._waiting, []
        to_record: list[tuple[_WaitingRequest[Q, D], D]] = []
        for one in waiting:
            try:
                decision = self._decide(one.request)
            except Exception as error:
                one.fail(error)
                continue
            if callable(decision):
                self._start(loop, self._decide_later(one, decision))
            elif decision.events:
                to_record.append((one, decision))
            else:
                one.resolve(decision, True)
        if to_record:
            self._start(loop, self._record(to_record))

    def _start(self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]) -> None:
        task = loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _decide_later(self, one: _WaitingRequest[Q, D], work: Callable[[], D]) -> None:
        try:
            decision = await self._heavy.run(work)
        except Exception as error:
            one.fail(error)
            return
        if decision.events:
            await self._record([(one, decision)])
        else:
            one.resolve(decision, True)

    async def _record(self, requests: list[tuple[_WaitingRequest[Q, D], D]]) -> None:
        """Record the events of several requests by one commit."""
        try:
            are_recorded = await self._recorder.record([decision.events for _, decision in requests])
        except Exception as error:
            for one, _ in requests:
                one.fail(error)
            return
        for (one, decision), is_recorded in zip(requests, are_recorded, strict=True):
            one.resolve(decision, is_recorded)
