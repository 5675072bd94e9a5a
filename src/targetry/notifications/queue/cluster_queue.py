"""Queue of the deliveries to one edge cluster."""

from __future__ import annotations

from collections import deque

from targetry.notifications.queue.entry import QueueEntry


class ClusterQueue:
    """Queue entries of one cluster; the cluster None is the client's own host.

    `ready` entries have not been tried, `failed` ones wait for a retry, `calls` are under way.
    `held` and `size` count the entries in memory and their bytes, in whichever of the three they
    are. With a spool, rows after `cursor` are only on disk: `on_disk` entries.
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
        """Whether an entry is ready or waits for a retry."""
        return bool(self.ready or self.failed)

    @property
    def is_unused(self) -> bool:
        """Whether the queue has no entry, in memory or on disk."""
        return not (self.held or self.on_disk)

    @property
    def in_memory(self) -> int:
        """Number of entries that are ready, failed or under way."""
        return len(self.ready) + len(self.failed) + len(self.calls)

    def retry_at_once(self) -> None:
        """Make failed entries ready again, before the others, because their host has changed."""
        if self.failed:
            self.ready = deque(sorted((*self.failed, *self.ready), key=_row))
            self.failed.clear()

    def pop_newest(self) -> QueueEntry:
        """Remove and return the newest entry that is not under way; there must be one."""
        return self.ready.pop() if self.ready else self.failed.pop()

    def not_encoded(self) -> list[QueueEntry]:
        """Return the ready entries that are not encoded yet, the oldest first."""
        found = []
        for entry in reversed(self.ready):
            if entry.is_encoded:
                break
            found.append(entry)
        return found[::-1]

    def unload_newest(self) -> QueueEntry | None:
        """Remove the newest entry if it and all later ones are on disk; move `cursor` before it."""
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
