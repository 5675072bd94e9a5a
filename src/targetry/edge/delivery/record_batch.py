"""Batches of events: requests that arrive together are recorded by one commit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from targetry.edge.delivery.recorder import EventRecorder
from targetry.ledger.event import LedgerEvent


class RecordBatch:
    """Collects the events of the requests that one turn of the event loop decides."""

    def __init__(self, recorder: EventRecorder) -> None:
        self._recorder = recorder
        self._waiting: list[tuple[Sequence[LedgerEvent], asyncio.Future[bool]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def record(self, events: Sequence[LedgerEvent]) -> bool:
        """Record the events of a request. Return whether they are durable; never raises."""
        loop = asyncio.get_running_loop()
        recorded: asyncio.Future[bool] = loop.create_future()
        self._waiting.append((events, recorded))
        if len(self._waiting) == 1:
            loop.call_soon(self._start, loop)
        return await recorded

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        waiting, self._waiting = self._waiting, []
        task = loop.create_task(self._record_all(waiting))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _record_all(self, waiting: list[tuple[Sequence[LedgerEvent], asyncio.Future[bool]]]) -> None:
        try:
            are_durable = await self._recorder.record([events for events, _ in waiting])
        except BaseException as error:
            for _, recorded in waiting:
                if not recorded.done():
                    recorded.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for (_, recorded), is_durable in zip(waiting, are_durable, strict=True):
            if not recorded.done():  # its request was cancelled
                recorded.set_result(is_durable)
