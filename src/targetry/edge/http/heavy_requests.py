"""Queue of delivery requests that take long; a thread decides one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from targetry.edge.http.errors import RequestRejected
from targetry.edge.http.limits import LimitMonitor

T = TypeVar("T")

MAX_WAITING: Final = 32


class HeavyRequests:
    """The queue of one edge; belongs to its event loop."""

    def __init__(self, monitor: LimitMonitor) -> None:
        self._monitor = monitor
        self._slot = asyncio.Semaphore(1)
        self._waiting = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Return the result of `work`, called by a thread once earlier work is done.

        Raises:
            RequestRejected: 503, too many requests are waiting.
        """
        if self._waiting >= MAX_WAITING:
            self._monitor.record("heavy")
            raise RequestRejected(503, "too many large requests are waiting; send the request again later")
        self._waiting += 1
        try:
            async with self._slot:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1
