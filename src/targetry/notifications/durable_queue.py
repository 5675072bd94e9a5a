"""Notification queue whose deliveries are written to disk before they are sent.

    handed over → arrivals → disk → ready → under way → …

A thread, the spool writer, moves arrivals to the disk, and rows back into memory as room is made.
The limit of the queue is one on memory: at most half of it is a window on the disk, the rest is for
arrivals. Each host has a window; those of failing hosts are small, so that their backlog leaves
room for the others.

Deliveries on disk are pending, also after the end of the process: the next one sends them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec

from targetry._runtime.sync_primitives import WakeupEvent
from targetry.notifications.queue.cluster_queue import ClusterQueue
from targetry.notifications.queue.counters import SPOOL_FOREIGN, SPOOL_LOST
from targetry.notifications.queue.entry import NotificationSource, QueueEntry
from targetry.notifications.queue.queue import NotificationQueue
from targetry.notifications.spool import Backlog

_MAX_UNLOADED = 64  # entries that leave memory at once
_MISSING = (
    "rows are missing in the notification spool: another process may have changed the file; "
    "they are counted as spool_lost, and the other rows are sent"
)


class PageRequest(msgspec.Struct, frozen=True):
    """Rows of one cluster to read: those after `after`, at most `limit`, of about `max_bytes`."""

    cluster: str | None
    after: int
    limit: int
    max_bytes: int


class DurableQueue(NotificationQueue):
    """Notification queue with a spool. The arguments are those of `NotificationQueue`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.writer_wakeup = WakeupEvent()
        self.writers: set[object] = set()  # at most one
        self.is_recovering = False  # rows of an earlier process may exist and are not counted yet
        self._window = max(1, self._memory.limit // 2)
        self._window_bytes = self._memory.max_bytes // 2
        self._arrivals: deque[QueueEntry] = deque()
        self._being_written: Sequence[QueueEntry] = ()
        self._newest_row = 0
        self._settled_rows: set[int] = set()  # still in the file

    def submit(self, source: NotificationSource) -> bool:
        return self._submit_locked(source)  # the writer is to write it at once

    @property
    def has_work(self) -> bool:
        return super().has_work or self.is_recovering

    def has_enough_workers(self) -> bool:
        return super().has_enough_workers() and bool(self.writers)

    @property
    def has_no_workers(self) -> bool:
        return not self.senders and not self.writers

    def stop_if_idle(self, workers: set[object], token: object) -> bool:
        # Without the check, rows of deliveries that were sent would stay on disk.
        is_written = not (self._settled_rows or self._arrivals)
        return is_written and super().stop_if_idle(workers, token)

    def is_empty(self) -> bool:
        return not self.is_recovering and super().is_empty()

    # The file, in the writer's thread

    def file_opened(self) -> None:
        """Start with a new file, whose rows are numbered from the start."""
        with self._holding:
            self._newest_row = 0
            self._settled_rows.clear()
            for queue in self._queues.values():
                queue.cursor = 0

    def recovery_done(self) -> None:
        """End the recovery: all rows of earlier processes are counted."""
        with self._holding:
            self.is_recovering = False
            if not self.size:
                self._wake_waiters()

    def add_recovered(self, backlogs: Sequence[Backlog], newest_row: int) -> None:
        """Count deliveries of an earlier process in the file, whose newest row is `newest_row`."""
        with self._holding:
            for backlog in backlogs:
                queue = self._queues.get(backlog.cluster)
                if queue is None:
                    queue = self._queues[backlog.cluster] = self._new_queue(backlog.cluster)
                self.counters.recover(backlog.notifications)
                self.size += backlog.deliveries
                self._count_on_disk(queue, backlog.deliveries, backlog.notifications)
            self._newest_row = newest_row

    def count_foreign(self, notifications: int) -> None:
        """Count notifications in the file that belong to another client account."""
        with self._holding:
            self._count_refused(SPOOL_FOREIGN, notifications, 0)

    def dequeue_arrivals(self) -> tuple[Sequence[QueueEntry], Sequence[int]]:
        """Return deliveries to write, and rows to delete and then to pass to `rows_removed`."""
        with self._holding:
            self._being_written = tuple(self._arrivals)
            self._arrivals.clear()
            for entry in self._being_written:
                self._batches.close(entry)
            return self._being_written, tuple(self._settled_rows)

    def rows_removed(self, rows: Sequence[int]) -> None:
        """Discard the numbers of settled rows that were deleted from the file."""
        with self._holding:
            self._settled_rows.difference_update(rows)

    def arrivals_written(self, rows: Sequence[int | None]) -> None:
        """Place the arrivals, which were written as `rows`; None for one that could not be written.

        Arrivals after one that is only on disk stay on disk too, so that the cursor divides them.
        """
        with self._holding:
            for entry, row in zip(self._being_written, rows, strict=True):
                entry.row = row
                if not entry.settled:
                    self._measure(entry)
                if row is None:
                    self._arrive_in_memory(entry)
                    continue
                if entry.settled:
                    self._settled_rows.add(row)
                else:
                    self._arrive_on_disk(entry, row)
                self._newest_row = row
            self._being_written = ()
            self._fit_bytes()
            self.wakeup.set()

    def _arrive_in_memory(self, entry: QueueEntry) -> None:
        if self.ended:
            self._close_entry(entry)
        elif not entry.settled:
            super()._place(self._queues[entry.cluster], entry)

    def _arrive_on_disk(self, entry: QueueEntry, row: int) -> None:
        queue = self._queues[entry.cluster]
        if self.ended or queue.on_disk or not self._has_window(queue):
            self._count_on_disk(queue, 1, entry.count)
            self._release(entry)
        else:
            queue.cursor = row
            super()._place(queue, entry)

    def next_page(self) -> PageRequest | None:
        """Return rows to read into memory, or None if there are none or too few to be worth it."""
        with self._holding:
            if self.ended:
                return None
            for queue in self._queues.values():
                if self._is_failing(queue):
                    self._shrink(queue)
            for queue in self._queues.values():
                if queue.on_disk and (page := self._page_of(queue)) is not None:
                    return page
            return None

    def _page_of(self, queue: ClusterQueue) -> PageRequest | None:
        share, share_bytes = self._share(queue)
        if queue.in_memory > share // 2 or (queue.in_memory and queue.size > share_bytes):
            return None
        in_memory, total = self._in_memory, self._memory.size
        limit = min(share - queue.in_memory, self._window - in_memory, queue.on_disk)
        size = min(share_bytes - queue.size, self._window_bytes - total)
        if queue.in_memory and (limit <= 0 or size <= 0):
            return None
        return PageRequest(queue.cluster, queue.cursor, max(1, limit), max(1, size))

    def add_page(self, page: PageRequest, entries: Sequence[QueueEntry]) -> None:
        """Take the rows of a page into memory, in their order.

        The lock was free while the file was read. If entries were unloaded meanwhile, the cursor
        has moved back, and the page does not contain the next rows: it is discarded, and
        `next_page` requests them again. Rows that are settled and not yet deleted are skipped.
        """
        with self._holding:
            queue = self._queues[page.cluster]
            if self.ended or queue.cursor != page.after:
                return
            if not entries:
                self._count_missing(queue)
            for entry in entries:
                assert entry.row is not None
                queue.cursor = entry.row
                if entry.row in self._settled_rows:
                    continue
                entry.cluster = page.cluster
                queue.on_disk -= 1
                queue.notifications_on_disk -= entry.count
                self._memory.count(queue, entry.parts, entry.size)
                super()._place(queue, entry)
            self.wakeup.set()

    def _count_missing(self, queue: ClusterQueue) -> None:
        """Count the rows of a cluster that a readable file lacks as lost; keep the other rows."""
        self.problems.append(_MISSING)
        self._count_lost(queue)
        self._discard_unused_queues()

    def file_lost(self) -> None:
        """Count the deliveries that were only on disk as lost, because the disk cannot be read."""
        with self._holding:
            for queue in self._queues.values():
                self._count_lost(queue)
                queue.cursor = 0
                for entry in (*queue.ready, *queue.failed, *queue.calls):
                    entry.row = None
            self._discard_unused_queues()
            self._settled_rows.clear()
            self._newest_row = 0
            self.wakeup.set()

    def _count_lost(self, queue: ClusterQueue) -> None:
        if not queue.on_disk:
            return
        count = queue.notifications_on_disk
        self.counters.drop(SPOOL_LOST, count)
        if count:
            self._refused_for(SPOOL_LOST).add(count)
        self.size -= queue.on_disk
        queue.on_disk = queue.notifications_on_disk = 0

    def _discard_unused_queues(self) -> None:
        for queue in tuple(self._queues.values()):
            if queue.is_unused and queue is not self._own:
                del self._queues[queue.cluster]
        if not self.size:
            self._wake_waiters()

    def drop_arrivals(self) -> None:
        """Drop the arrivals that the writer did not write. Only after `end`."""
        with self._holding:
            for entry in (*self._being_written, *self._arrivals):
                self._close_entry(entry)
            self._arrivals.clear()

    def drop_pending(self) -> None:
        super().drop_pending()
        self.writer_wakeup.set()

    def host_failed(self, *args: Any, **details: Any) -> None:
        super().host_failed(*args, **details)
        self.writer_wakeup.set()  # the window of the host is smaller now

    def _new_queue(self, cluster: str | None) -> ClusterQueue:
        queue = super()._new_queue(cluster)
        queue.cursor = self._newest_row  # older rows of this cluster were settled
        return queue

    def _place(self, queue: ClusterQueue, entry: QueueEntry) -> None:
        self._arrivals.append(entry)
        self.writer_wakeup.set()

    # Memory

    def _make_room(self, queue: ClusterQueue) -> bool:
        """Unload entries that are on disk; drop entries only if there is no file."""
        longest = max((one for one in self._queues.values() if one.has_waiting), key=_held, default=None)
        if longest is not None:
            self._unload(longest, max(0, longest.in_memory - _MAX_UNLOADED))
            if self._fits():
                return True
        return not self._newest_row and super()._make_room(queue)

    def _evict_newest(self, queue: ClusterQueue) -> None:
        if not self._unload(queue, queue.in_memory - 1):
            super()._evict_newest(queue)

    def _shrink(self, queue: ClusterQueue) -> None:
        """Unload the entries beyond the window of a failing host."""
        share, share_bytes = self._share(queue)
        self._unload(queue, share)
        while queue.size > share_bytes and self._unload(queue, queue.in_memory - 1):
            pass

    def _unload(self, queue: ClusterQueue, keep: int) -> int:
        """Leave waiting entries to the disk until `keep` are in memory; return how many left."""
        unloaded = 0
        while queue.in_memory > keep and (entry := queue.unload_newest()) is not None:
            self._count_on_disk(queue, 1, entry.count)
            self._release(entry)
            unloaded += 1
        return unloaded

    def _count_on_disk(self, queue: ClusterQueue, deliveries: int, notifications: int) -> None:
        queue.on_disk += deliveries
        queue.notifications_on_disk += notifications

    def _share(self, queue: ClusterQueue) -> tuple[int, int]:
        """Return how many entries, of how many bytes, of one cluster should be in memory."""
        if not self._is_failing(queue):
            return self._window, self._window_bytes
        parts = 2 * len(self._queues)
        return max(1, self._window // parts), self._window_bytes // parts

    @property
    def _in_memory(self) -> int:
        return sum(queue.in_memory for queue in self._queues.values())

    def _has_window(self, queue: ClusterQueue) -> bool:
        if not queue.in_memory:
            return True
        share, share_bytes = self._share(queue)
        return (
            queue.in_memory < share
            and queue.size <= share_bytes
            and self._in_memory < self._window
            and self._memory.size <= self._window_bytes
        )

    def _settle(self, entry: QueueEntry) -> bool:
        if not super()._settle(entry):
            return False
        if entry.row is not None:
            self._settled_rows.add(entry.row)
        self.writer_wakeup.set()
        return True

    def _close_entries(self, entries: Sequence[QueueEntry]) -> None:
        super()._close_entries([entry for entry in entries if entry.row is None])
        for entry in entries:
            if entry.row is not None and not entry.settled:  # it stays pending, on disk
                entry.settled = True
                self._end_call(entry)
                self._release(entry)


def _held(queue: ClusterQueue) -> int:
    return queue.held
