"""Spool writer: moves deliveries between memory and disk.

It writes arrivals, deletes settled rows, and reads rows for which there is room. A queue with a
spool has one writer thread. It runs no code of the application, so that a slow network or a blocked
event handler does not delay the commit, which usually follows the submission within a millisecond.

Faults of the disk lose no deliveries: one that cannot be written stays in memory, as without a
spool. Files of dead processes are taken over at the start, and searched for once a minute.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from targetry.delivery.hosts import DeliveryAddress
from targetry.notifications.durable_queue import DurableQueue, PageRequest
from targetry.notifications.queue.entry import BuildRequest, QueueEntry
from targetry.notifications.spool import Spool, SpooledDelivery, SpoolError

_REOPEN_S = 60.0
_MAX_NAMED = 5  # files in one message
_MAX_REMEMBERED = 1000


class SpoolWriter:
    """Work of the writer thread. `reported` contains the problems that were reported before."""

    def __init__(
        self,
        queue: DurableQueue,
        folder: Path,
        *,
        address: DeliveryAddress,
        build_request: BuildRequest,
        max_bytes: int,
        idle_s: float,
        reported: set[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._folder = folder
        self._address = address
        self._build_request = build_request
        self._max_bytes = max_bytes
        self._idle_s = idle_s
        self._reported = reported
        self._clock = clock
        self._has_failed = False

    def run(self, token: object) -> None:
        """Work until there is nothing to do for a while or the queue has ended; never raise."""
        queue = self._queue
        spool, open_at = None, self._clock()
        try:
            while True:
                ending = queue.is_drained
                if self._clock() >= open_at:
                    spool, open_at = self._open_and_adopt(spool), self._clock() + _REOPEN_S
                spool = self._write_and_fetch(spool)
                if ending:
                    self._write_and_fetch(
                        spool
                    )  # delete rows of entries that were dropped while they were written
                    break
                if not queue.writer_wakeup.wait(self._idle_s) and queue.stop_if_idle(queue.writers, token):
                    break
        finally:
            if spool is not None:
                spool.close()
            queue.remove_worker(queue.writers, token)

    def _open_and_adopt(self, spool: Spool | None) -> Spool | None:
        """Open a file unless one is open, and take over those of dead processes."""
        problems: dict[str, str] = {}
        if spool is None:
            spool = self._open(problems)
        if spool is not None:
            adopted = spool.adopt(problems)
            self._queue.add_recovered(adopted, spool.newest_row)
            if spool.foreign:
                self._queue.count_foreign(spool.foreign)
                problems["rows"] = f"{spool.foreign} notifications of another client account are dropped"
                spool.foreign = 0
        self._queue.recovery_done()
        self._report(problems)
        return spool

    def _open(self, problems: dict[str, str]) -> Spool | None:
        spool = None
        try:
            spool = Spool.open(self._folder, self._max_bytes, self._address, problems, self._clock)
            backlogs = spool.backlogs()
        except SpoolError as error:
            self._report_once(f"{self._folder} cannot be used: {error}")
            if spool is not None:
                spool.close()
            return None
        self._queue.file_opened()
        self._queue.add_recovered(backlogs, spool.newest_row)
        return spool

    def _write_and_fetch(self, spool: Spool | None) -> Spool | None:
        """Write, delete and read once; return the spool, or None if it is no longer usable."""
        arrivals, settled = self._queue.dequeue_arrivals()
        rows: Sequence[int | None] = [None] * len(arrivals)
        if spool is None:
            self._queue.arrivals_written(rows)
            return None
        try:
            if settled:
                spool.remove(settled)
                self._queue.rows_removed(settled)
            rows = self._add(spool, arrivals)
            spool.save_clock()
        except SpoolError as error:
            self._report_once(f"cannot be written: {error}")
        finally:
            self._queue.arrivals_written(rows)
        while (page := self._queue.next_page()) is not None:
            if not self._fetch(spool, page):
                return None
        return spool

    def _add(self, spool: Spool, arrivals: Sequence[QueueEntry]) -> Sequence[int | None]:
        """Return the rows of the arrivals, None for those that cannot be encoded."""
        if not arrivals:
            return ()
        now = self._clock()
        written = [entry for entry in arrivals if entry.encode(self._build_request) is None]
        added = iter(
            spool.add(
                [
                    SpooledDelivery(one.session_id, one.cluster, one.body or b"", one.count, now - one.born)
                    for one in written
                ]
            )
        )
        self._has_failed = False
        return [next(added) if entry.body is not None else None for entry in arrivals]

    def _fetch(self, spool: Spool, page: PageRequest) -> bool:
        """Read rows into memory; return False if the file cannot be read and was set aside."""
        try:
            rows = spool.page(page.cluster, page.after, page.limit, page.max_bytes)
        except SpoolError as error:
            self._report_once(f"cannot be read: {error}")
            spool.set_aside()
            self._queue.file_lost()
            return False
        now = self._clock()
        self._queue.add_page(page, [_entry(row, now - row.age) for row in rows])
        return True

    def _report(self, problems: dict[str, str]) -> None:
        """Report files that cannot be used, each once."""
        new = {name: why for name, why in problems.items() if f"{name}: {why}" not in self._reported}
        if len(self._reported) > _MAX_REMEMBERED:
            self._reported.clear()
        self._reported.update(f"{name}: {why}" for name, why in new.items())
        if new:
            named = [f"{name} ({why})" for name, why in list(new.items())[:_MAX_NAMED]]
            more = f" and {len(new) - len(named)} more" if len(new) > len(named) else ""
            self._report_problem(f"files of the notification spool are not used: {', '.join(named)}{more}")

    def _report_once(self, text: str) -> None:
        """Report a problem once until a write succeeds."""
        if not self._has_failed:
            self._has_failed = True
            self._report_problem(f"the notification spool is not used: {text}; notifications stay in memory")

    def _report_problem(self, text: str) -> None:
        self._queue.problems.append(text)
        self._queue.wakeup.set()


def _entry(row: SpooledDelivery, born: float) -> QueueEntry:
    return QueueEntry(
        None, row.count, len(row.body), born, session_id=row.session_id, body=row.body, row=row.id
    )
