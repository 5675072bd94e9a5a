"""Open batches: pending impressions of one visitor that are sent in one call."""

from __future__ import annotations

import math

from targetry.notifications.queue.entry import MAX_BATCH, NotificationSource, QueueEntry


class OpenBatches:
    """Batches that take more impressions, by visitor. To be used under the queue's lock.

    A batch is open until it is encoded, sent, or replaced by the next one of its visitor.

    Args:
        linger_s: Seconds that a batch waits for more of its visitor.
    """

    __slots__ = ("_by_visitor", "_prompt_at", "linger_s")

    def __init__(self, linger_s: float) -> None:
        self.linger_s = linger_s
        self._by_visitor: dict[object, QueueEntry] = {}
        self._prompt_at = -math.inf

    def __len__(self) -> int:
        return len(self._by_visitor)

    def join(self, source: NotificationSource, count: int, size: int, cluster: str | None) -> bool:
        """Add a delivery to the batch of its visitor; return False if none takes it."""
        entry = self._by_visitor.get(source.batch)
        if entry is None or entry.cluster != cluster or entry.count + count > MAX_BATCH:
            return False
        entry.others.append(source)
        entry.count += count
        entry.size += size
        entry.parts += 1
        return True

    def open(self, batch: object, entry: QueueEntry) -> None:
        """Make an entry the batch of its visitor, in place of an earlier one."""
        if (before := self._by_visitor.get(batch)) is not None:
            self.close(before)
        entry.batch = batch
        self._by_visitor[batch] = entry

    def close(self, entry: QueueEntry) -> None:
        """Let an entry take no more. Does nothing if it is no open batch."""
        if entry.batch is not None:
            del self._by_visitor[entry.batch]
            entry.batch = None

    def skip_wait(self, now: float) -> None:
        """Let batches from before `now` wait no longer. Needs no lock."""
        self._prompt_at = now

    def wait_s(self, entry: QueueEntry, now: float) -> float:
        """Return the seconds that an entry still waits for more; at most 0 if it does not."""
        if entry.batch is None or entry.born <= self._prompt_at:
            return 0.0
        return entry.born + self.linger_s - now
