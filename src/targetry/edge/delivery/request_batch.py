"""Batches of requests: those of one turn of the event loop are decided together.

All requests that arrive in one turn are prepared one after the other, then all are decided, then
all are finished, and only then answered: a step that follows the same step of another request takes
a fraction of the time of one after a different step, because its code is in the processor's caches.
Their events are recorded by one commit. Requests that take long are decided by a thread, one at a
time.
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
R = TypeVar("R")


class PreparedDecision(msgspec.Struct, Generic[D], frozen=True, gc=False):
    """Call that decides a request; a thread makes it if it `is_heavy`."""

    decide: Callable[[], D]
    is_heavy: bool = False


_Waiting = tuple[Q, asyncio.Future[R]]
"""Request that waits for its result."""


class RequestBatch(Generic[Q, D, R]):
    """The requests of one endpoint; belongs to its event loop.

    Args:
        prepare: Reads a request, and returns the call that decides it.
        finish: Returns the result of a request from its decision, and from whether its events are
            recorded.
        recorder: Records events.
        monitor: Counts the requests for which too many large ones are waiting.
    """

    def __init__(
        self,
        prepare: Callable[[Q], PreparedDecision[D]],
        finish: Callable[[Q, D, bool], R],
        *,
        recorder: EventRecorder,
        monitor: LimitMonitor,
    ) -> None:
        self._prepare = prepare
        self._finish = finish
        self._recorder = recorder
        self._heavy = HeavyRequests(monitor)
        self._loop: asyncio.AbstractEventLoop
        self._waiting: list[_Waiting[Q, R]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def decide(self, request: Q) -> asyncio.Future[R]:
        """Return the future result of a request.

        It raises `RequestRejected`, 503, if too many large requests are waiting, and what `prepare`
        and the decision raise.
        """
        if not self._waiting:  # looking the loop up takes a system call
            self._loop = asyncio.get_running_loop()
            self._loop.call_soon(self._decide_all, self._loop)
        result: asyncio.Future[R] = self._loop.create_future()
        self._waiting.append((request, result))
        return result

    def _decide_all(self, loop: asyncio.AbstractEventLoop) -> None:
        """Decide the requests that have arrived in one turn of the event loop."""
        waiting, self._waiting = self._waiting, []
        prepared: list[tuple[_Waiting[Q, R], PreparedDecision[D]]] = []
        for one in waiting:
            try:
                prepared.append((one, self._prepare(one[0])))
            except Exception as error:
                _fail(one, error)
        decided: list[tuple[_Waiting[Q, R], D]] = []
        for one, work in prepared:
            if work.is_heavy:
                self._start(loop, self._decide_later(one, work))
                continue
            try:
                decided.append((one, work.decide()))
            except Exception as error:
                _fail(one, error)
        to_record: list[tuple[_Waiting[Q, R], D]] = []
        for one, decision in decided:
            if decision.events:
                to_record.append((one, decision))
            else:
                self._resolve(one, decision, True)
        if to_record:
            self._start(loop, self._record(to_record))

    def _resolve(self, one: _Waiting[Q, R], decision: D, is_recorded: bool) -> None:
        request, result = one
        try:
            finished = self._finish(request, decision, is_recorded)
        except Exception as error:
            _fail(one, error)
            return
        if not result.done():  # it is done if the request was cancelled
            result.set_result(finished)

    def _start(self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]) -> None:
        task = loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _decide_later(self, one: _Waiting[Q, R], work: PreparedDecision[D]) -> None:
        try:
            decision = await self._heavy.run(work.decide)
        except Exception as error:
            _fail(one, error)
            return
        if decision.events:
            await self._record([(one, decision)])
        else:
            self._resolve(one, decision, True)

    async def _record(self, requests: list[tuple[_Waiting[Q, R], D]]) -> None:
        """Record the events of several requests by one commit."""
        try:
            are_recorded = await self._recorder.record([decision.events for _, decision in requests])
        except Exception as error:
            for one, _ in requests:
                _fail(one, error)
            return
        for (one, decision), is_recorded in zip(requests, are_recorded, strict=True):
            self._resolve(one, decision, is_recorded)


def _fail(one: _Waiting[Any, Any], error: Exception) -> None:
    _, result = one
    if not result.done():
        result.set_exception(error)
