"""Queue of notifications that are not settled yet, and their counters.

A process has one queue; a forked child starts with an empty one.

Submitting is one append, without the lock: the delivery is handed over, and the next sender that
looks for work enqueues it. A thread that submits takes the lock if the queue is full or closed, or
if all senders are on calls to other hosts. It never waits long, and is possible in a signal handler
that interrupts another submission. Everything else holds the lock only for a few assignments, or
while one request is encoded.

Impressions of one visitor that are pending together are one delivery, a batch. It takes more until
it is sent or encoded; a sender leaves it a few milliseconds for that, unless a flush waits for the
queue to be empty.

A delivery is in one place at a time: handed over, ready, under way, failed (and then ready again),
and finally sent or dropped.

A sender without other work encodes waiting entries, which then count for their own size; if that is
more than the limit in bytes, the newest are dropped.

If the queue is full, the longest cluster queue gives way: one whose host fails, else any. Its
newest entry is dropped as `queue_full`, which may be the one that is submitted.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from threading import Lock

from targetry._runtime.sync_primitives import WakeupEvent
from targetry.delivery.clusters import ClusterDirectory
from targetry.notifications.queue.batches import OpenBatches
from targetry.notifications.queue.cluster_queue import ClusterQueue
from targetry.notifications.queue.counters import (
    CLOSED,
    QUEUE_FULL,
    RESPONSE,
    DeliveryCounters,
    NotifierStats,
    Reason,
    with_uncounted,
)
from targetry.notifications.queue.destination import Destination, Destinations
from targetry.notifications.queue.drops import RefusedDeliveries, UncountedDrops
from targetry.notifications.queue.entry import BuildRequest, Dequeued, NotificationSource, QueueEntry
from targetry.notifications.queue.memory import QueueMemory
from targetry.notifications.queue.retry_policy import RetryPolicy

_MAX_LOCK_WAIT_S = 0.2
_MAX_ENQUEUED = 256  # deliveries that were handed over, while the lock is held once
_MAX_TAKEN_OVER = 4  # of these by one thread that submits
_MAX_SUBMIT_WAIT_S = 0.005  # for the lock, once so many have been handed over
_MAX_QUEUES = 64
_MAX_EVICTED = 8  # entries that make room for one
_MAX_ENCODED = 32  # entries at a time


class NotificationQueue:
    """Queue of at most `limit` deliveries and about `max_bytes` in memory.

    Args:
        limit: Deliveries in memory, those under way included.
        max_bytes: Bytes of their requests as JSON.
        policy: Retry policy of each host.
        random: Source of random numbers in [0, 1).
        clusters: Directory of edge clusters.
        max_calls: Calls under way at a time.
        clock: Monotonic time in seconds.
        linger_s: Seconds that a batch waits for more of its visitor.
    """

    __slots__ = (  # an instance dict of more than 30 attributes is slow
        "_all_busy",
        "_batches",
        "_called",
        "_clock",
        "_destinations",
        "_handed_over",
        "_holding",
        "_idle",
        "_in_flight",
        "_lock",
        "_memory",
        "_own",
        "_queues",
        "_refused",
        "_suspended",
        "_uncounted",
        "_waiters",
        "closed",
        "clusters",
        "counters",
        "deadline",
        "ended",
        "is_drained",
        "needs_sender",
        "policy",
        "problems",
        "senders",
        "size",
        "starting",
        "wakeup",
    )

    def __init__(
        self,
        *,
        limit: int,
        max_bytes: int,
        policy: RetryPolicy,
        random: Callable[[], float],
        clusters: ClusterDirectory,
        max_calls: int = 16,
        clock: Callable[[], float] = time.monotonic,
        linger_s: float = 0.0,
    ) -> None:
        self.counters = DeliveryCounters()
        self.policy = policy
        self.clusters = clusters
        self.wakeup = WakeupEvent()  # for the senders
        self.senders: set[object] = set()  # a token for each thread that sends
        self.needs_sender = False  # all senders are on calls, and another host has deliveries
        self.size = 0  # deliveries that are not settled, wherever they are
        self.closed = False  # nothing new is accepted
        self.ended = False  # nothing is sent any more
        self.is_drained = False  # what was pending at the end has been dropped
        self.deadline: float | None = None  # of calls, once the queue is closed
        self.problems: deque[str] = deque(maxlen=16)  # of the disk, until they are reported
        self.starting = Lock()  # held while a thread is started
        self._clock = clock
        self._lock = Lock()
        self._holding = _Holding(self)
        self._batches = OpenBatches(linger_s)
        self._memory = QueueMemory(limit, max_bytes)
        # With the time of each.
        self._handed_over: deque[tuple[NotificationSource, float]] = deque()
        # Senders that sleep until a delivery is handed over: any, or one for a cluster.
        self._idle: set[object] = set()
        self._suspended: set[object] = set()
        self._uncounted = UncountedDrops()
        self._own = ClusterQueue(None)
        self._queues: dict[str | None, ClusterQueue] = {None: self._own}
        self._destinations = Destinations(
            policy=policy,
            random=random,
            clusters=clusters,
            max_calls=max_calls,
            clock=clock,
            used=self._queues,
        )
        self._in_flight: set[QueueEntry] = set()
        self._all_busy = False  # every sender is on a call
        self._called: frozenset[str | None] = frozenset()  # clusters of these calls
        self._refused: dict[Reason, RefusedDeliveries] = {}
        self._waiters: list[WakeupEvent] = []

    # Submission: any thread, any time

    def submit(self, source: NotificationSource) -> bool:
        """Accept a delivery or count it as dropped; return whether it was accepted.

        Takes microseconds and never raises. A delivery that was accepted can still be dropped and
        counted when it is enqueued, if other threads were faster.
        """
        handed_over, clock, is_closed = self._handed_over, self._clock, self.closed
        if (
            is_closed
            or len(handed_over) >= self._memory.room
            or (self._all_busy and source.cluster not in self._called)
        ):
            return self._submit_locked(source)
        handed_over.append((source, clock()))
        if self._idle or (self._suspended and source.cluster is not None):
            self.wakeup.set()
        if self.closed:  # meanwhile, and perhaps no other thread looks again
            self._enqueue_handed_over()
        return True

    def stats(self) -> NotifierStats:
        """Return the counters, with the deliveries that are handed over. Takes no lock."""
        state = self.counters.state
        waiting = sum(one.count for one, _ in self._handed_over.copy())
        return with_uncounted(state, waiting, self._uncounted.snapshot())

    def _submit_locked(self, source: NotificationSource) -> bool:
        if not self._lock.acquire(False):
            return self._hand_over(source)
        try:
            accepted = self._enqueue(source, self._clock(), too_late=self.closed)
        finally:
            self._lock.release()
        if self._handed_over:
            self._enqueue_handed_over(_MAX_TAKEN_OVER)
        return accepted

    def count_undelivered(self, count: int) -> None:
        """Count impressions of a page that failed as dropped, without an event."""
        self._uncounted.add(RESPONSE, count)
        self._enqueue_handed_over(_MAX_TAKEN_OVER)

    def _hand_over(self, source: NotificationSource) -> bool:
        """Submit while another thread holds the lock, or this one before a signal handler."""
        is_full = self._memory.held + len(self._handed_over) >= self._memory.limit
        if is_full and len(self._queues) == 1:
            return self._refuse_unlocked(source)
        if self.closed or is_full:
            return self._submit_waiting(source)
        self._handed_over.append((source, self._clock()))
        self._enqueue_handed_over(_MAX_TAKEN_OVER)
        return True

    def _submit_waiting(self, source: NotificationSource) -> bool:
        """Wait for the lock; in a signal handler that interrupted its holder, that times out."""
        if not self._lock.acquire(timeout=_MAX_SUBMIT_WAIT_S):
            return self._refuse_unlocked(source)
        try:
            accepted = self._enqueue(source, self._clock(), too_late=self.closed)
        finally:
            self._lock.release()
        self._enqueue_handed_over(_MAX_TAKEN_OVER)
        return accepted

    def _refuse_unlocked(self, source: NotificationSource) -> bool:
        """Count a delivery as dropped without the lock."""
        self._uncounted.add(CLOSED if self.closed else QUEUE_FULL, source.count)
        return False

    def _enqueue_handed_over(self, limit: int = _MAX_ENQUEUED) -> None:
        """Enqueue at most `limit` deliveries that were handed over. The lock must not be held."""
        waiting, lock = self._handed_over, self._lock
        while (waiting or self._uncounted) and limit > 0 and lock.acquire(False):
            try:
                while waiting and limit > 0:
                    limit -= 1
                    self._enqueue(*waiting.popleft(), too_late=self.ended)
                for one in self._uncounted.take():
                    self._count_refused(*one)
            finally:
                lock.release()
        if waiting:
            self.wakeup.set()

    def _count_refused(self, reason: Reason, count: int, telemetry: int) -> None:
        self.counters.refuse_all(reason, count, telemetry)
        if count and reason is not RESPONSE:
            self._refused_for(reason).add(count)

    @property
    def has_work(self) -> bool:
        """Whether a delivery is to be sent."""
        return bool(self.size > 0 or self._handed_over) and not self.ended

    @property
    def waiting(self) -> int:
        """Number of deliveries that are not settled, those that are handed over included."""
        return self.size + len(self._handed_over)

    def has_enough_workers(self) -> bool:
        """Return whether no further thread is needed."""
        return not (self.needs_sender or not self.senders)

    @property
    def has_no_workers(self) -> bool:
        """Whether no thread works on the queue."""
        return not self.senders

    def _enqueue(self, source: NotificationSource, born: float, too_late: bool) -> bool:
        if too_late:
            return self._refuse(CLOSED, source.count)
        count, cluster, batch = source.count, source.cluster, source.batch
        queue = self._own if cluster is None else self._queue_for(cluster)
        if not self._fits() and not self._make_room(queue):
            return self._refuse(QUEUE_FULL, count)
        self.counters.accept(count)
        size = self._memory.estimate
        self._memory.count(queue, 1, size)
        if batch is None or not self._batches.join(source, count, size, queue.cluster):
            self.size += 1
            entry = QueueEntry(source, count, size, born, "", queue.cluster)
            if batch is not None:
                self._batches.open(batch, entry)
            self._place(queue, entry)
        return True

    def _queue_for(self, cluster: str) -> ClusterQueue:
        """Return the queue of the host that serves visitors of a cluster."""
        host = self.clusters.choose(cluster)
        if host is None:
            return self._own
        queue = self._queues.get(host)
        if queue is None:
            if len(self._queues) >= _MAX_QUEUES and not self._discard_unused_queue():
                return self._own
            queue = self._queues[host] = self._new_queue(host)
        return queue

    def _discard_unused_queue(self) -> bool:
        """Discard a queue whose first entry was refused, and that has had none since."""
        for cluster, queue in self._queues.items():
            if queue.is_unused and queue is not self._own:
                del self._queues[cluster]
                return True
        return False

    def _new_queue(self, cluster: str | None) -> ClusterQueue:
        return ClusterQueue(cluster)

    def _fits(self) -> bool:
        """Return whether there is room for one more besides the deliveries that are handed over."""
        return len(self._handed_over) < self._memory.room

    def _make_room(self, queue: ClusterQueue) -> bool:
        """Drop the newest entries of longer queues than `queue`; return whether there is room."""
        if len(self._queues) == 1:
            return False
        for _ in range(_MAX_EVICTED):
            victim = self._next_queue_to_evict()
            if victim is None or self._priority(victim) <= self._priority(queue, joining=1):
                return False
            self._evict_newest(victim)
            if self._fits():
                return True
        return False

    def _next_queue_to_evict(self) -> ClusterQueue | None:
        return max(
            (one for one in self._queues.values() if one.has_waiting), key=self._priority, default=None
        )

    def _priority(self, queue: ClusterQueue, joining: int = 0) -> tuple[bool, int]:
        """Return the rank of a queue for eviction: failing ones first, then the longest."""
        return self._is_failing(queue), queue.held + joining

    def _is_failing(self, queue: ClusterQueue) -> bool:
        return self._destinations.is_failing(queue.cluster)

    def _evict_newest(self, queue: ClusterQueue) -> None:
        entry = queue.pop_newest()
        self._settle(entry)
        self.counters.drop(QUEUE_FULL, entry.count)
        if entry.count:
            self._refused_for(QUEUE_FULL).add(entry.count, (entry,))

    def _place(self, queue: ClusterQueue, entry: QueueEntry) -> None:
        queue.ready.append(entry)
        # While the host is suspect, waiting entries wait for a time, and no sender can help.
        own = self._destinations.own
        if queue is not self._own or not own.retry_state.is_suspect or len(queue.ready) == 1:
            self.wakeup.set()
        if self._all_busy:
            self._check_senders()

    def _check_senders(self) -> None:
        """Find out whether all senders are on calls, and another host has deliveries."""
        self._all_busy = 0 < len(self.senders) <= len(self._in_flight)
        if self._all_busy:
            self._called = frozenset(entry.cluster for entry in self._in_flight)
            self.needs_sender = any(
                queue.has_waiting and not self._destinations.of_cluster(queue.cluster).calls
                for queue in self._queues.values()
            )

    def _refuse(self, reason: Reason, count: int) -> bool:
        self.counters.refuse(reason, count)
        if count:
            self._refused_for(reason).add(count)
        return False

    def _refused_for(self, reason: Reason) -> RefusedDeliveries:
        refused = self._refused.get(reason)
        if refused is None:
            refused = self._refused[reason] = RefusedDeliveries()
            self.wakeup.set()
        return refused

    # Size

    def encode_waiting(self, build_request: BuildRequest) -> bool:
        """Encode some waiting entries to know their size; return whether there were any.

        The lock is held for one entry at a time, and no sender can take an entry meanwhile.
        """
        now = self._clock()
        with self._holding:
            waiting = [
                one
                for queue in self._queues.values()
                for one in queue.not_encoded()
                if self._batches.wait_s(one, now) <= 0
            ]
        for entry in waiting[:_MAX_ENCODED]:
            with self._holding:
                if not (entry.is_encoded or entry.settled or entry in self._in_flight):
                    self._batches.close(entry)
                    entry.encode(build_request)
                    self._measure(entry)
                    self._fit_bytes()
        return bool(waiting)

    def _measure(self, entry: QueueEntry) -> None:
        self._memory.measure(self._queues[entry.cluster], entry)

    def _fit_bytes(self) -> None:
        """Drop the newest entries as long as those in memory are too large together."""
        while self._memory.size > self._memory.max_bytes:
            queue = self._next_queue_to_evict()
            if queue is None:
                return
            self._evict_newest(queue)

    # Sending: the senders

    def skip_backoff(self) -> None:
        """End the waits, except those that a server asked for. Takes no lock."""
        self._batches.skip_wait(self._clock())
        self._destinations.skip_backoff()

    def dequeue(self, now: float) -> Dequeued:
        """Take the next entry to send, if there is one at time `now`, and begin its call."""
        if self._handed_over:
            self._enqueue_handed_over()
        with self._holding:
            return Dequeued(None, math.inf) if self.ended else self._dequeue(now)

    def _dequeue(self, now: float) -> Dequeued:
        soonest = math.inf
        for queue in self._queues.values():
            if not queue.has_waiting:
                continue
            host = self._destinations.host_of(queue.cluster)
            if not self._destinations.may_call(host):
                continue
            destination = self._destinations.of_host(host)
            wait = destination.retry_state.wait(now)
            if wait <= 0:
                taken = self._next(queue, destination, now)
                if taken.entry is not None:
                    self._begin_call(queue, taken.entry, host, destination)
                    return taken
                wait = taken.wait_s
            soonest = min(soonest, wait)
        return Dequeued(None, soonest)

    def _next(self, queue: ClusterQueue, destination: Destination, now: float) -> Dequeued:
        retry_state = destination.retry_state
        # To a suspect host, a new entry is the better probe: others may have failed by their
        # content.
        new_first = queue.ready and retry_state.is_suspect
        wait = retry_state.wait_for_retry(now) if queue.failed and not new_first else math.inf
        if wait == 0.0:
            retry_state.spend_retry(now)
            self.counters.retry()
            return Dequeued(queue.failed.popleft())
        if not queue.ready:
            return Dequeued(None, wait)
        linger = self._batches.wait_s(queue.ready[0], now)
        return Dequeued(queue.ready.popleft()) if linger <= 0 else Dequeued(None, min(wait, linger))

    def _begin_call(
        self, queue: ClusterQueue, entry: QueueEntry, host: str | None, destination: Destination
    ) -> None:
        self._batches.close(entry)
        entry.host = host
        destination.calls += 1
        queue.calls.add(entry)
        self._in_flight.add(entry)
        if len(self._queues) > 1:  # the others come first next time
            self._queues[queue.cluster] = self._queues.pop(queue.cluster)
        self._check_senders()
        if any(one.ready for one in self._queues.values()):
            self.wakeup.set()  # each sender wakes the next one

    def _end_call(self, entry: QueueEntry) -> None:
        if entry in self._in_flight:
            self._in_flight.discard(entry)
            self._queues[entry.cluster].calls.discard(entry)
            self._destinations.of_host(entry.host).calls -= 1
            self._all_busy = False

    def is_behind(self, now: float, patience_s: float) -> bool:
        """Return whether an entry that could be sent has waited for longer than `patience_s`."""
        if self._handed_over:
            self._enqueue_handed_over()
        with self._holding:
            return any(self._is_queue_behind(queue, now, patience_s) for queue in self._queues.values())

    def _is_queue_behind(self, queue: ClusterQueue, now: float, patience_s: float) -> bool:
        if not queue.ready or now - queue.ready[0].born <= patience_s:
            return False
        host = self._destinations.host_of(queue.cluster)
        return self._destinations.may_call(host) and not self._is_failing(queue)

    def mark_sent(self, entry: QueueEntry, started: float) -> None:
        """Settle an entry whose call began at `started` and succeeded."""
        with self._holding:
            destination = self._succeeded(entry, started)
            destination.successes += 1
            if self._settle(entry):
                self.counters.send(entry.count)

    def mark_partly_sent(self, entry: QueueEntry, started: float, missing: int, body: bytes) -> bool:
        """Put an entry back of which `missing` notifications, those in `body`, were not processed.

        Return whether it will be retried, as `mark_failed` does.
        """
        with self._holding:
            self._succeeded(entry, started)
            if entry.settled:
                return True
            self.counters.send(entry.count - missing)
            entry.count = missing
            entry.body, entry.is_partial = body, True
            entry.isolated_failures += 1
            return self._requeue(entry)

    def split(self, entry: QueueEntry) -> None:
        """Put a refused entry back, whose notifications are then sent one by one."""
        with self._holding:
            if not entry.settled:
                entry.is_split = entry.is_partial = True
                self._continue(entry)

    def part_sent(self, entry: QueueEntry, started: float, rest: bytes) -> None:
        """Count one notification of a split entry as sent; `rest` is the body of the others."""
        with self._holding:
            self._succeeded(entry, started).successes += 1
            if self._settle_part(entry, rest):
                self.counters.send(1)

    def drop_part(self, entry: QueueEntry, rest: bytes, reason: Reason, error: str) -> bool:
        """Drop one notification of a split entry; return False if the entry was settled before."""
        with self._holding:
            is_new = self._settle_part(entry, rest)
            if is_new:
                self.counters.drop(reason, 1, error)
            return is_new

    def _settle_part(self, entry: QueueEntry, rest: bytes) -> bool:
        if entry.settled:
            return False
        entry.count -= 1
        entry.body, entry.part = rest, None
        entry.isolated_failures = 0
        self._continue(entry)
        return True

    def _continue(self, entry: QueueEntry) -> None:
        """Put an entry back to be sent next."""
        self._end_call(entry)
        self._queues[entry.cluster].ready.appendleft(entry)
        self.wakeup.set()

    def _succeeded(self, entry: QueueEntry, started: float) -> Destination:
        destination = self._destinations.of_host(entry.host)
        destination.retry_state.succeeded(started)
        if entry.host is not None:
            self.clusters.record_response(entry.host)
        return destination

    def mark_failed(self, entry: QueueEntry, error: str) -> bool:
        """Put an entry back to be retried; return False if it has failed too often."""
        with self._holding:
            if entry.settled:
                return True
            destination = self._destinations.of_host(entry.host)
            if destination.successes > entry.seen:
                entry.isolated_failures += 1
                entry.seen = destination.successes
            self.counters.fail(error)
            return self._requeue(entry)

    def reroute(self, entry: QueueEntry, error: str) -> bool:
        """Put an entry back if it would now go to another host; return whether it was put back."""
        with self._holding:
            if entry.settled:
                return True
            queue = self._queues[entry.cluster]
            if self._destinations.host_of(queue.cluster) == entry.host:
                return False
            self.counters.fail(error)
            self._end_call(entry)
            queue.failed.append(entry)
            queue.retry_at_once()
            self.wakeup.set()
            return True

    def mark_dropped(self, entry: QueueEntry, reason: Reason, error: str | None) -> bool:
        """Drop an entry; return False if it was settled before."""
        with self._holding:
            is_new = self._settle(entry)
            if is_new:
                self.counters.drop(reason, entry.count, error)
            return is_new

    def host_failed(
        self,
        entry: QueueEntry,
        started: float,
        now: float,
        *,
        denied: bool,
        retry_after_s: float | None = None,
    ) -> None:
        """Record a failed call of an entry in the retry state of its host."""
        with self._holding:
            retry_state = self._destinations.of_host(entry.host).retry_state
            if denied:
                retry_state.denied(started, now)
            else:
                retry_state.failed(started, now, retry_after_s)

    def _requeue(self, entry: QueueEntry) -> bool:
        if entry.isolated_failures >= self.policy.max_isolated_failures:
            return False
        self._end_call(entry)
        self._queues[entry.cluster].failed.append(entry)
        self._measure(entry)
        self._fit_bytes()
        self.wakeup.set()
        return True

    def _settle(self, entry: QueueEntry) -> bool:
        self._end_call(entry)
        if entry.settled:
            return False
        entry.settled = True
        self._batches.close(entry)
        self._measure(entry)
        self._release(entry)
        self.size -= 1
        if not self.size:
            self._wake_waiters()
        return True

    def _release(self, entry: QueueEntry) -> None:
        """Count an entry as one that is no longer in memory."""
        queue = self._queues[entry.cluster]
        self._memory.count(queue, -entry.parts, -entry.size)
        if queue.is_unused and queue is not self._own:
            del self._queues[entry.cluster]

    @property
    def has_refused(self) -> bool:
        """Whether `pop_refused` would return any."""
        return bool(self._refused)

    def pop_refused(self) -> dict[Reason, RefusedDeliveries]:
        """Return the deliveries that were dropped without an attempt since the last call."""
        with self._holding:
            refused, self._refused = self._refused, {}
            return refused

    # Threads, and the end

    def sleep(self, seconds: float, wait: Callable[[WakeupEvent, float], bool]) -> bool:
        """Wait until a sender has work, at most `seconds`; return False if that time has passed.

        A delivery that is handed over ends the wait, unless the wait is short, or no sender can
        help because deliveries wait for a time.
        """
        if seconds <= self._batches.linger_s:
            return wait(self.wakeup, seconds)
        is_suspended = bool(self._own.ready) and self._destinations.own.retry_state.is_suspect
        sleepers = self._suspended if is_suspended else self._idle
        token = object()
        sleepers.add(token)
        try:
            if self._handed_over:  # before the token was there
                if not is_suspended:
                    return True
                self._enqueue_handed_over()
            return wait(self.wakeup, seconds)
        finally:
            sleepers.discard(token)

    def stop_if_idle(self, workers: set[object], token: object) -> bool:
        """Remove a thread's token from `workers` unless there is work; return whether it was."""
        with self._holding:
            if not self.ended and (self.size or self._handed_over or self._refused):
                return False
            workers.discard(token)
            self._wake_waiters()
            return True

    def remove_worker(self, workers: set[object], token: object) -> None:
        """Remove the token of a thread that ends, whether or not there is work."""
        workers.discard(token)
        self._wake_waiters()
        self.wakeup.set()

    def is_reachable(self) -> bool:
        """Return whether the lock can be taken.

        It cannot in a signal handler that interrupted its holder, for as long as the handler runs.
        """
        if not self._lock.acquire(timeout=_MAX_LOCK_WAIT_S):
            return False
        self._lock.release()
        self._enqueue_handed_over()
        return True

    def is_empty(self) -> bool:
        """Return whether all deliveries are settled; False if the lock cannot be taken."""
        if not self._lock.acquire(timeout=_MAX_LOCK_WAIT_S):
            return False
        try:
            return not (self.size or self._handed_over)
        finally:
            self._lock.release()
            self._enqueue_handed_over()

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until `condition` holds; it is checked when the queue is empty or a thread ends."""
        deadline = time.monotonic() + seconds
        wakeup = WakeupEvent()
        self._waiters.append(wakeup)
        try:
            while not condition():
                left = deadline - time.monotonic()
                if left <= 0 or not wakeup.wait(left):
                    return condition()
            return True
        finally:
            self._waiters.remove(wakeup)

    def end(self) -> None:
        """Send nothing more and drop the rest; the outcome of calls under way stays unknown."""
        self.closed = self.ended = True
        self.drop_pending()
        self.wakeup.set()

    def drop_pending(self) -> None:
        """Drop the rest after `end`.

        Does nothing if the lock cannot be taken: the thread that holds it calls this afterwards.
        """
        if not self._lock.acquire(timeout=_MAX_LOCK_WAIT_S):
            return
        try:
            for queue in tuple(self._queues.values()):
                self._close_entries((*queue.calls, *queue.failed, *queue.ready))
                queue.failed.clear()
                queue.ready.clear()
            self.is_drained = True
        finally:
            self._lock.release()
            self._enqueue_handed_over()

    def drop_arrivals(self) -> None:
        """Drop deliveries that a missing thread should have moved, after `end`."""

    def _close_entry(self, entry: QueueEntry) -> None:
        self._close_entries((entry,))

    def _close_entries(self, entries: Sequence[QueueEntry]) -> None:
        """Drop entries as `closed`: perhaps thousands, while other threads are busy."""
        closed = [entry for entry in entries if self._settle(entry)]
        counted = [entry for entry in closed if entry.count]
        for _ in range(len(closed) - len(counted)):
            self.counters.drop(CLOSED, 0)  # telemetry only
        if counted:
            count = sum(entry.count for entry in counted)
            self.counters.drop(CLOSED, count)
            self._refused_for(CLOSED).add(count, counted)

    def _wake_waiters(self) -> None:
        for wakeup in tuple(self._waiters):
            wakeup.set()


class _Holding:
    """Context that holds the queue's lock, and enqueues handed over deliveries at its end."""

    __slots__ = ("_queue",)

    def __init__(self, queue: NotificationQueue) -> None:
        self._queue = queue

    def __enter__(self) -> None:
        self._queue._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._queue._lock.release()
        if self._queue._handed_over or self._queue._uncounted:
            self._queue._enqueue_handed_over()
