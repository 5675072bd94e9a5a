"""An outbox whose deliveries are on disk before they are sent, and whose backlog may stay there.

    door → arrivals → disk → ready → in flight → …

A thread of its own, the scribe, moves what comes through the door to the disk, and back into memory as room is made. The
limit of the outbox is one on memory: half of it at most is a window on the disk, the rest is for arrivals.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from targetry.background.bell import Bell
from targetry.background.entry import Entry, Refused
from targetry.background.ledger import SPOOL_LOST
from targetry.background.outbox import Outbox
from targetry.background.throttle import Throttle


class SpooledOutbox(Outbox):
    """What is in the disk's part of it is pending in the books, and stays so after the end: for the next process."""

    def __init__(
        self, *, limit: int, max_bytes: int, throttle: Throttle, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(limit=limit, max_bytes=max_bytes, throttle=throttle, clock=clock)
        self.scribe_bell = Bell()
        self.scribes: set[object] = set()  # at most one
        self.opening = False  # it is not known yet what an earlier process left
        self.cursor = 0  # rows after it are on disk only
        self._window = max(1, limit // 2)
        self._window_bytes = max_bytes // 2
        self._arrivals: deque[Entry] = deque()
        self._being_written: Sequence[Entry] = ()
        self._on_disk = 0  # deliveries that are on disk only, and the notifications in them
        self._notifications_on_disk = 0
        self._gone: list[int] = []  # rows to be deleted

    @property
    def has_work(self) -> bool:
        return super().has_work or self.opening

    @property
    def staffed(self) -> bool:
        return bool(self.crew and self.scribes)

    @property
    def deserted(self) -> bool:
        return not self.crew and not self.scribes

    def retire(self, crew: set[object], token: object) -> bool:
        # Nothing is left to write; without that, rows of deliveries that were sent would stay on disk.
        return not (self._gone or self._arrivals) and super().retire(crew, token)

    def recovered(self, deliveries: int, notifications: int) -> None:
        """A file was opened, and an earlier process had left them in it."""
        with self._holding:
            self.opening = False
            self.cursor = 0
            self.ledger.recover(notifications)
            self.size += deliveries
            self._on_disk += deliveries
            self._notifications_on_disk += notifications
            if not self.size:
                self._tell_waiters()

    def is_empty(self) -> bool:
        return not self.opening and super().is_empty()

    def take_arrivals(self) -> tuple[Sequence[Entry], list[int]]:
        """Deliveries to be written, and rows to be deleted."""
        with self._holding:
            self._being_written = tuple(self._arrivals)
            self._arrivals.clear()
            gone, self._gone = self._gone, []
            return self._being_written, gone

    def arrived(self, rows: Sequence[int | None]) -> None:
        """The arrivals were written as `rows`; None: that one could not be, and has to do without.

        What comes after one that is on disk only, stays on disk too, so that the cursor divides them.
        """
        with self._holding:
            for entry, row in zip(self._being_written, rows, strict=True):
                entry.row = row
                if row is None:
                    self._arrive_in_memory(entry)
                elif entry.settled:
                    self._gone.append(row)
                elif self.ended or self._on_disk or not self._room():
                    self._release(entry)
                    self._on_disk += 1
                    self._notifications_on_disk += entry.count
                else:
                    self.cursor = row
                    self._ready.append(entry)
            self._being_written = ()
            self.bell.ring()

    def _arrive_in_memory(self, entry: Entry) -> None:
        if self.ended:
            self._leave(entry)
        elif not entry.settled:
            self._ready.append(entry)

    def appetite(self) -> tuple[int, int]:
        """How many deliveries, of how many bytes, should come back from the disk. Little at a time is not worth it."""
        with self._holding:
            in_memory = len(self._ready) + len(self._failed) + len(self._flights)
            if self.ended or not self._on_disk or in_memory > self._window // 2:
                return 0, 0
            if self._bytes > self._window_bytes and in_memory:
                return 0, 0
            return self._window - in_memory, max(1, self._window_bytes - self._bytes)

    def paged(self, entries: Sequence[Entry]) -> None:
        """They are back in memory, in the order of their rows."""
        with self._holding:
            for entry in entries:
                self.cursor = entry.row or self.cursor
                self._on_disk -= 1
                self._notifications_on_disk -= entry.count
                self._held += 1
                self._bytes += entry.size
                self._ready.append(entry)
            self.bell.ring()

    def lost(self) -> None:
        """The disk cannot be read: what was only there is gone."""
        with self._holding:
            self.ledger.drop(SPOOL_LOST, self._notifications_on_disk)
            if self._notifications_on_disk:
                refused = self._refused.setdefault(SPOOL_LOST, Refused())
                refused.count += self._notifications_on_disk
            self.size -= self._on_disk
            self._on_disk = self._notifications_on_disk = 0
            for entry in (*self._ready, *self._failed, *self._flights):
                entry.row = None
            self._gone = []
            self.cursor = 0
            self.bell.ring()
            if not self.size:
                self._tell_waiters()

    def abandon(self) -> None:
        """The scribe did not come to write them: drop the arrivals. Only after `end`."""
        with self._holding:
            for entry in (*self._being_written, *self._arrivals):
                self._leave(entry)
            self._arrivals.clear()

    def sweep(self) -> None:
        super().sweep()
        self.scribe_bell.ring()

    def _place(self, entry: Entry) -> None:
        self._arrivals.append(entry)
        self.scribe_bell.ring()

    def _room(self) -> bool:
        in_memory = len(self._ready) + len(self._failed) + len(self._flights)
        return in_memory < self._window and (self._bytes <= self._window_bytes or not in_memory)

    def _settle(self, entry: Entry) -> bool:
        if not super()._settle(entry):
            return False
        if entry.row is not None:
            self._gone.append(entry.row)
        self.scribe_bell.ring()
        return True

    def _leave(self, entry: Entry) -> None:
        if entry.row is None:
            super()._leave(entry)
        elif not entry.settled:  # it stays pending, on disk
            entry.settled = True
            self._flights.discard(entry)
            self._release(entry)
