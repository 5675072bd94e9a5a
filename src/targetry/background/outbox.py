"""What was offered and is not settled yet, and the books over it. One per process: a forked child begins an empty one.

Offering must never wait, whatever other threads do, and must be possible in a signal handler that interrupted an offer.
So nobody who offers waits for the lock: if it is taken, the delivery is left at the door, and whoever
holds the lock takes it in afterwards. Everybody else holds the lock for a few assignments only.

A delivery is in one place at a time: door → ready → in flight → sent or dropped, with a way back through `failed`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from threading import Lock

from targetry.background.bell import Bell
from targetry.background.entry import Deliverable, Entry, Refused, weight
from targetry.background.ledger import CLOSED, QUEUE_FULL, Ledger, Reason
from targetry.background.throttle import Throttle

_MOST_SAMPLES = 100  # of refused deliveries, whose ids are told; the count is always exact
_LONGEST_LOCK_WAIT_S = 0.2


class Outbox:
    """At most `limit` deliveries of together `max_bytes` in memory; the newest are refused."""

    def __init__(
        self, *, limit: int, max_bytes: int, throttle: Throttle, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.ledger = Ledger()
        self.throttle = throttle
        self.bell = Bell()  # for the couriers
        self.crew: set[object] = set()  # the couriers at work, a token each
        self.size = 0  # deliveries that are not settled, wherever they are
        self.shut = False  # nothing new is accepted
        self.ended = False  # nothing is sent any more
        self.swept = False  # and what was left has been dropped
        self.deadline: float | None = None  # of calls, once it is closing
        self.trouble: str | None = None  # what is wrong with the disk, until somebody has told it
        self.hiring = Lock()  # held while a thread is started
        self._limit = limit
        self._max_bytes = max_bytes
        self._clock = clock
        self._lock = Lock()
        self._holding = _Holding(self)
        self._door: deque[Deliverable] = deque()
        self._ready: deque[Entry] = deque()
        self._failed: deque[Entry] = deque()
        self._flights: set[Entry] = set()
        self._held = 0  # entries in memory, and their bytes
        self._bytes = 0
        self._successes = 0
        self._refused: dict[Reason, Refused] = {}
        self._waiters: list[Bell] = []

    # Offering: any thread, any time

    def offer(self, delivery: Deliverable) -> bool:
        """Take it, or count it as dropped. Takes microseconds, never waits or raises. False: it was refused."""
        if not self._lock.acquire(False):
            self._door.append(delivery)
            self.admit()
            return True  # whether it really is, will be decided by whoever holds the lock
        try:
            accepted = self._take_in(delivery)
        finally:
            self._lock.release()
        if self._door:
            self.admit()
        return accepted

    def admit(self) -> None:
        """Take in what is at the door. Whoever has held the lock calls this afterwards."""
        door, lock = self._door, self._lock
        while door and lock.acquire(False):
            try:
                while door:
                    self._take_in(door.popleft())
            finally:
                lock.release()

    @property
    def has_work(self) -> bool:
        return self.size > 0 and not self.ended

    @property
    def staffed(self) -> bool:
        """Whether somebody looks after what is in here."""
        return bool(self.crew)

    @property
    def deserted(self) -> bool:
        """Whether nobody does, not even in part."""
        return not self.crew

    def _take_in(self, delivery: Deliverable) -> bool:
        if self.shut:
            return self._refuse(CLOSED, delivery)
        size = weight(delivery)
        if self._held >= self._limit or self._bytes + size > self._max_bytes:
            return self._refuse(QUEUE_FULL, delivery)
        self.ledger.accept(delivery.count)
        self._held += 1
        self._bytes += size
        self.size += 1
        self._place(Entry(delivery, delivery.count, size, self._clock()))
        return True

    def _place(self, entry: Entry) -> None:
        self._ready.append(entry)
        if len(self._ready) == 1 or not self.throttle.in_doubt:  # else those who wait, wait for a time
            self.bell.ring()

    def _refuse(self, reason: Reason, delivery: Deliverable) -> bool:
        self.ledger.refuse(reason, delivery.count)
        self._note(reason, delivery)
        return False

    def _note(self, reason: Reason, source: Deliverable | Entry) -> None:
        if not source.count:
            return
        refused = self._refused.get(reason)
        if refused is None:
            refused = self._refused[reason] = Refused()
            self.bell.ring()
        refused.count += source.count
        if len(refused.samples) < _MOST_SAMPLES:
            refused.samples.append(source)

    # Sending: the couriers

    def take(self, now: float) -> Entry | float | None:
        """The next one to try; or the seconds until there is one, if nothing changes; or None: until the bell rings."""
        with self._holding:
            if self.ended or not (self._ready or self._failed):
                return None
            if self.throttle.in_doubt and self._flights:
                return None  # somebody is out to see
            wait = self.throttle.wait(now)
            return wait if wait > 0 else self._next(now)

    def _next(self, now: float) -> Entry | float:
        # In doubt, a fresh one is the better probe: the failed may have failed for what is in them.
        fresh_first = self._ready and self.throttle.in_doubt
        wait = self.throttle.wait_for_retry(now) if self._failed and not fresh_first else None
        if wait == 0.0:
            self.throttle.pay(now)
            self.ledger.retry()
            entry = self._failed.popleft()
        elif self._ready:
            entry = self._ready.popleft()
        else:
            return wait or 0.0
        self._flights.add(entry)
        if self._ready:
            self.bell.ring()  # one wakes the next
        return entry

    def is_behind(self, now: float, patience_s: float) -> bool:
        """Whether something that might be sent has been waiting for longer than that."""
        try:
            return not self.throttle.in_doubt and now - self._ready[0].born > patience_s
        except IndexError:
            return False

    def sent(self, entry: Entry, started: float) -> None:
        with self._holding:
            self._successes += 1
            self.throttle.succeeded(started)
            if self._settle(entry):
                self.ledger.send(entry.count)

    def partly_sent(self, entry: Entry, started: float, missing: int, body: bytes) -> bool:
        """All but `missing` of its notifications were processed; `body` has those. Returns as `failed`."""
        with self._holding:
            self.throttle.succeeded(started)
            if entry.settled:
                return True
            self.ledger.send(entry.count - missing)
            entry.count = missing
            entry.body, entry.request = body, None
            entry.strikes += 1
            return self._put_back(entry)

    def failed(self, entry: Entry, error: str) -> bool:
        """It is to be tried again. False if it has failed too often, and is for the courier to give up."""
        with self._holding:
            if entry.settled:
                return True
            if self._successes > entry.seen:
                entry.strikes += 1
                entry.seen = self._successes
            self.ledger.fail(error)
            return self._put_back(entry)

    def dropped(self, entry: Entry, reason: Reason, error: str | None) -> bool:
        """It is given up. False if that had been done already."""
        with self._holding:
            mine = self._settle(entry)
            if mine:
                self.ledger.drop(reason, entry.count, error)
            return mine

    def doubted(self, started: float, now: float, *, denied: bool, retry_after: float | None = None) -> None:
        """A call failed: tell the throttle."""
        with self._holding:
            if denied:
                self.throttle.denied(started, now)
            else:
                self.throttle.failed(started, now, retry_after)

    def _put_back(self, entry: Entry) -> bool:
        if entry.strikes >= self.throttle.policy.max_strikes:
            return False
        self._flights.discard(entry)
        self._failed.append(entry)
        self.bell.ring()
        return True

    def _settle(self, entry: Entry) -> bool:
        self._flights.discard(entry)
        if entry.settled:
            return False
        entry.settled = True
        self._release(entry)
        self.size -= 1
        if not self.size:
            self._tell_waiters()
        return True

    def _release(self, entry: Entry) -> None:
        """It is no longer in memory."""
        self._held -= 1
        self._bytes -= entry.size

    @property
    def has_refused(self) -> bool:
        return bool(self._refused)

    def take_refused(self) -> dict[Reason, Refused]:
        """What was refused since the last time."""
        with self._holding:
            refused, self._refused = self._refused, {}
            return refused

    # Waiting, and the end

    def retire(self, crew: set[object], token: object) -> bool:
        """Take `token` out of `crew`, unless there is something to do."""
        with self._holding:
            if not self.ended and (self.size or self._door or self._refused):
                return False
            crew.discard(token)
            self._tell_waiters()
            return True

    def is_reachable(self) -> bool:
        """Whether the lock can be had. It cannot in a signal handler that interrupted its holder, for as long as it runs."""
        if not self._lock.acquire(timeout=_LONGEST_LOCK_WAIT_S):
            return False
        self._lock.release()
        self.admit()
        return True

    def is_empty(self) -> bool:
        if not self._lock.acquire(timeout=_LONGEST_LOCK_WAIT_S):
            return False
        try:
            return not (self.size or self._door)
        finally:
            self._lock.release()
            self.admit()

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until `condition` holds, which is looked at when the outbox is empty and when a thread leaves."""
        deadline = time.monotonic() + seconds
        bell = Bell()
        self._waiters.append(bell)
        try:
            while not condition():
                left = deadline - time.monotonic()
                if left <= 0 or not bell.wait(left):
                    return condition()
            return True
        finally:
            self._waiters.remove(bell)

    def end(self) -> None:
        """Send no more, and drop what is left. Calls under way are given up: what becomes of them is not known."""
        self.shut = self.ended = True
        self.sweep()
        self.bell.ring()

    def sweep(self) -> None:
        """Drop what `end` left. Does nothing while somebody keeps the lock: he is followed by one who sweeps."""
        if not self._lock.acquire(timeout=_LONGEST_LOCK_WAIT_S):
            return
        try:
            for entry in (*self._flights, *self._failed, *self._ready):
                self._leave(entry)
            self._failed.clear()
            self._ready.clear()
            self.swept = True
        finally:
            self._lock.release()
            self.admit()

    def abandon(self) -> None:
        """What is left after `end`, because nobody came to do his part of it, is dropped too."""

    def leave(self, crew: set[object], token: object) -> None:
        """A thread ends, whatever there is to do."""
        crew.discard(token)
        self._tell_waiters()
        self.bell.ring()

    def _leave(self, entry: Entry) -> None:
        if self._settle(entry):
            self.ledger.drop(CLOSED, entry.count)
            self._note(CLOSED, entry)

    def _tell_waiters(self) -> None:
        for bell in tuple(self._waiters):
            bell.ring()


class _Holding:
    """`with` this, one holds the outbox's lock; those who came to the door meanwhile are let in at the end."""

    __slots__ = ("_outbox",)

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def __enter__(self) -> None:
        self._outbox._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._outbox._lock.release()
        if self._outbox._door:
            self._outbox.admit()
