"""Notifications that were dropped without an attempt, until they are counted and reported."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from targetry.notifications.queue.counters import CLOSED, QUEUE_FULL, RESPONSE, Reason
from targetry.notifications.queue.entry import QueueEntry

_MAX_SAMPLES: Final = 100  # bodies of dropped deliveries, whose ids an event lists; the count is exact


class RefusedDeliveries(msgspec.Struct):
    """Notifications that were dropped without an attempt: their number, and bodies of some."""

    count: int = 0
    samples: list[bytes] = []

    def add(self, count: int, entries: Iterable[QueueEntry] = ()) -> None:
        """Add notifications, with the entries that they are of as far as these are known."""
        self.count += count
        for entry in entries:
            if len(self.samples) >= _MAX_SAMPLES:
                return
            if entry.body is not None:
                self.samples.append(entry.body)


class UncountedDrops:
    """Drops that are not in the counters yet, as the thread could not take the queue's lock.

    Each step is atomic. There is at most one sum for each reason and thread: notifications, and
    deliveries of telemetry only.
    """

    __slots__ = ("_sums",)

    def __init__(self) -> None:
        self._sums: dict[Reason, deque[tuple[int, int]]] = {
            QUEUE_FULL: deque(),
            CLOSED: deque(),
            RESPONSE: deque(),
        }

    def __bool__(self) -> bool:
        return any(self._sums.values())

    def add(self, reason: Reason, count: int) -> None:
        """Count a delivery of `count` notifications, 0 for telemetry only."""
        sums = self._sums[reason]
        try:
            notifications, telemetry = sums.pop()
        except IndexError:
            notifications = telemetry = 0
        sums.append((notifications + count, telemetry + (not count)))

    def snapshot(self) -> Iterator[tuple[Reason, int, int]]:
        """Yield reason, notifications and deliveries of telemetry, and keep them."""
        for reason, sums in self._sums.items():
            for one in sums.copy():
                yield (reason, *one)

    def take(self) -> Iterator[tuple[Reason, int, int]]:
        """Yield them as `snapshot` does, and remove them. Under the queue's lock."""
        for reason, sums in self._sums.items():
            while sums:
                yield (reason, *sums.popleft())
