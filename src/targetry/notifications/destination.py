"""Queues of notifications by destination, and the retry state of each host.

A queue is of one edge cluster, or of the client's own host. Its entries go to that cluster as long as it answers, else to
the own host; so several queues may share a host, and the retry state is the host's.
"""

from __future__ import annotations

from collections import deque

from targetry.notifications.queue_entry import QueueEntry
from targetry.notifications.retry_policy import RetryState


class Destination:
    """One host: when it may be called, and how many calls are under way."""

    __slots__ = ("calls", "retry_state", "successes")

    def __init__(self, retry_state: RetryState) -> None:
        self.retry_state = retry_state
        self.calls = 0
        self.successes = 0


class ClusterQueue:
    """Entries of one cluster; None is the client's own host.

    `ready` have not been tried, `failed` wait for a retry, `calls` are under way. `held` and `size` (bytes) count what is in
    memory, wherever it is. With a spool, rows after `cursor` are on disk only: `on_disk` entries.
    """

    __slots__ = (
        "calls",
        "cluster",
        "cursor",
        "failed",
        "held",
        "notifications_on_disk",
        "on_disk",
        "ready",
        "size",
    )

    def __init__(self, cluster: str | None) -> None:
        self.cluster = cluster
        self.ready: deque[QueueEntry] = deque()
        self.failed: deque[QueueEntry] = deque()
        self.calls: set[QueueEntry] = set()
        self.held = 0
        self.size = 0
        self.cursor = 0
        self.on_disk = 0
        self.notifications_on_disk = 0

    @property
    def has_waiting(self) -> bool:
        return bool(self.ready or self.failed)

    @property
    def is_unused(self) -> bool:
        return not (self.held or self.on_disk)

    @property
    def in_memory(self) -> int:
        """Entries that are ready, failed or under way."""
        return len(self.ready) + len(self.failed) + len(self.calls)

    def retry_at_once(self) -> None:
        """Put failed entries back in front: they go to another host, which has not failed them."""
        if self.failed:
            self.ready = deque(sorted((*self.failed, *self.ready), key=_row))
            self.failed.clear()

    def unload_newest(self) -> QueueEntry | None:
        """Remove the newest entry, if the disk has it and all that follow it; move `cursor` in front of it."""
        ready = self.ready[-1] if self.ready else None
        if ready is not None and ready.row is None:
            return None
        failed = max(self.failed, key=_row, default=None)
        entry = max((one for one in (ready, failed) if one is not None), key=_row, default=None)
        if entry is None or entry.row is None or entry.is_partial:
            return None
        if any(_row(call) > entry.row for call in self.calls):
            return None
        if entry is ready:
            self.ready.pop()
        else:
            self.failed.remove(entry)
        self.cursor = entry.row - 1
        return entry


def _row(entry: QueueEntry) -> int:
    return entry.row or 0
