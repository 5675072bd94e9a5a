"""Moves deliveries between memory and disk: writes what arrived, deletes what is settled, fetches what there is room for.

One thread per outbox, only where a spool is wanted. It runs no code of the user's, so a slow network or a handler that
blocks does not keep deliveries from the disk: between an offer and its commit there usually is a millisecond.

Whatever the disk does, deliveries are not lost by it: what cannot be written is kept in memory, as without a spool.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from targetry.background.entry import Entry
from targetry.background.spool import Spool, SpooledDelivery, SpoolError
from targetry.background.spooled_outbox import SpooledOutbox

_REOPEN_S = 60.0


class Scribe:
    """The work of one thread, `run`. `now` is the wall clock: rows outlive the monotonic one."""

    def __init__(
        self,
        outbox: SpooledOutbox,
        folder: Path,
        *,
        max_bytes: int,
        idle_s: float,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._outbox = outbox
        self._folder = folder
        self._max_bytes = max_bytes
        self._idle_s = idle_s
        self._clock = clock
        self._now = now
        self._gone: list[int] = []
        self._in_trouble = False

    def run(self, token: object) -> None:
        """Until there is nothing to do for a while, or the outbox has ended. Never raises."""
        outbox = self._outbox
        spool, open_at = None, self._clock()
        try:
            while True:
                ending = outbox.swept
                if spool is None and self._clock() >= open_at:
                    spool, open_at = self._open(), self._clock() + _REOPEN_S
                spool = self._turn(spool)
                if ending:
                    self._turn(spool)  # rows of those that were given up while they were written
                    break
                if not outbox.scribe_bell.wait(self._idle_s) and outbox.retire(outbox.scribes, token):
                    break
        finally:
            if spool is not None:
                spool.close()
            outbox.leave(outbox.scribes, token)

    def _open(self) -> Spool | None:
        try:
            spool = Spool.open(self._folder, self._max_bytes, self._complain)
        except SpoolError as error:
            self._complain(f"{self._folder} cannot be used: {error}")
            self._outbox.recovered(0, 0)
            return None
        self._gone = []
        self._outbox.recovered(spool.rows, spool.notifications)
        return spool

    def _turn(self, spool: Spool | None) -> Spool | None:
        """One round. Returns the spool to go on with, None if it is of no use any more."""
        arrivals, gone = self._outbox.take_arrivals()
        rows: Sequence[int | None] = [None] * len(arrivals)
        if spool is None:
            self._outbox.arrived(rows)
            return None
        try:
            self._gone += gone
            self._remove(spool)
            rows = self._add(spool, arrivals)
        except SpoolError as error:
            self._complain(f"cannot be written: {error}")
        finally:
            self._outbox.arrived(rows)
        return self._page(spool)

    def _remove(self, spool: Spool) -> None:
        if self._gone:
            spool.remove(self._gone)
            self._gone = []

    def _add(self, spool: Spool, arrivals: Sequence[Entry]) -> Sequence[int | None]:
        """The rows of the arrivals; none for those that cannot be written as JSON, which a courier will find too."""
        if not arrivals:
            return ()
        offset = self._now() - self._clock()
        written = [entry for entry in arrivals if entry.encode() is None]
        added = iter(
            spool.add(
                [SpooledDelivery(one.url, one.body or b"", one.count, one.born + offset) for one in written]
            )
        )
        self._in_trouble = False
        return [next(added) if entry.body is not None else None for entry in arrivals]

    def _page(self, spool: Spool) -> Spool | None:
        limit, size = self._outbox.appetite()
        if not limit:
            return spool
        try:
            page = spool.page(self._outbox.cursor, limit, size)
            if not page:
                raise SpoolError("rows are missing")
        except SpoolError as error:
            self._complain(f"cannot be read: {error}")
            spool.set_aside()
            self._outbox.lost()
            return None
        offset = self._clock() - self._now()
        self._outbox.paged([_entry(one, min(self._clock(), one.born + offset)) for one in page])
        return spool

    def _complain(self, text: str) -> None:
        """Have it told, once until things go well again."""
        if not self._in_trouble:
            self._in_trouble = True
            self._outbox.trouble = f"the spool of notifications: {text}"
            self._outbox.bell.ring()


def _entry(one: SpooledDelivery, born: float) -> Entry:
    return Entry(None, one.count, len(one.body), born, url=one.url, body=one.body, row=one.id)
