"""What was offered and is not settled yet, and the books over it. One per process: a forked child begins an empty one.

Offering must never wait long, whatever other threads do, and must be possible in a signal handler that interrupted an
offer. So where the lock is taken, the delivery is handed over: it joins a short list, and the holder of the lock, or the
next one, takes it in. All others hold the lock for a few assignments only.

A delivery is in one place at a time: handed over → ready → in flight → sent or dropped, with a way back through `failed`.

Destinations are kept apart (`destination`): each host has its own retry state and a bounded share of the calls under way.
When the queue is full, the longest queue gives way: of those whose host fails, else of all; its newest entry is
dropped as `queue_full`, which may be the one that is offered.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from threading import Lock

from targetry._runtime.sync_primitives import WakeupEvent
from targetry.delivery.clusters import ClusterDirectory
from targetry.notifications.counters import (
    CLOSED,
    QUEUE_FULL,
    DeliveryCounters,
    NotifierStats,
    Reason,
    with_uncounted,
)
from targetry.notifications.destination import ClusterQueue, Destination
from targetry.notifications.queue_entry import NotificationSource, QueueEntry, RefusedDeliveries, weight
from targetry.notifications.retry_policy import RetryPolicy, RetryState

_MOST_SAMPLES = 100  # of refused deliveries, whose ids are told; the count is always exact
_LONGEST_LOCK_WAIT_S = 0.2
_MAX_HANDED_OVER = 256  # deliveries that wait for the holder of the lock
_MAX_TAKEN_IN = 4  # of these by one thread that offers
_MAX_OFFER_WAIT_S = 0.005  # for the lock, once so many have been handed over
_MAX_QUEUES = 64
_MAX_DESTINATIONS = 64
_MAX_EVICTED = 8  # entries that make room for one


class NotificationQueue:
    """At most `limit` deliveries of together `max_bytes` in memory, for at most `max_calls` calls at a time.

    One host gets at most three quarters of the calls. Hosts that fail or have never answered get one each, and
    together an eighth.
    """

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
    ) -> None:
        self.counters = DeliveryCounters()
        self.policy = policy
        self.clusters = clusters
        self.wakeup = WakeupEvent()  # for the senders
        self.senders: set[object] = set()  # the senders at work, a token each
        self._all_busy = False  # every sender is on a call
        self.needs_sender = False  # all senders are on calls, and another host has deliveries
        self.size = 0  # deliveries that are not settled, wherever they are
        self.closed = False  # nothing new is accepted
        self.ended = False  # nothing is sent any more
        self.is_drained = False  # and what was left has been dropped
        self.deadline: float | None = None  # of calls, once it is closing
        self.problems: deque[str] = deque(
            maxlen=16
        )  # what is wrong with the disk, until somebody has told it
        self.starting = Lock()  # held while a thread is started
        self._limit = limit
        self._max_bytes = max_bytes
        self._max_calls_per_host = max_calls - max_calls // 4
        self._max_suspect_calls = max(1, max_calls // 8)
        self._random = random
        self._clock = clock
        self._lock = Lock()
        self._holding = _Holding(self)
        self._handed_over: deque[NotificationSource] = deque()
        # Not in the books yet: a sum of notifications, and of deliveries of telemetry, for each thread at most.
        self._refused_unlocked: dict[Reason, deque[tuple[int, int]]] = {QUEUE_FULL: deque(), CLOSED: deque()}
        self._unlocked_samples: deque[tuple[Reason, NotificationSource]] = deque(maxlen=_MOST_SAMPLES)
        self._own = ClusterQueue(None)
        self._queues: dict[str | None, ClusterQueue] = {None: self._own}
        self._own_destination = Destination(RetryState(policy, random))
        self._destinations: dict[str | None, Destination] = {None: self._own_destination}
        self._in_flight: set[QueueEntry] = set()
        self._held = 0  # entries in memory, and their bytes
        self._bytes = 0
        self._refused: dict[Reason, RefusedDeliveries] = {}
        self._waiters: list[WakeupEvent] = []

    # Offering: any thread, any time

    def offer(self, delivery: NotificationSource) -> bool:
        """Take it, or count it as dropped. Takes microseconds, and never raises. False: it was refused."""
        if not self._lock.acquire(False):
            return self._hand_over(delivery)
        try:
            accepted = self._enqueue(delivery, too_late=self.closed)
        finally:
            self._lock.release()
        if self._handed_over:
            self._take_handed_over(_MAX_TAKEN_IN)
        return accepted

    def stats(self) -> NotifierStats:
        """Return the books as they are now, with what was handed over. Takes no lock."""
        state = self.counters.state
        waiting = sum(one.count for one in self._handed_over.copy())
        refused = ((reason, *one) for reason, sums in self._refused_unlocked.items() for one in sums.copy())
        return with_uncounted(state, waiting, refused)

    def _hand_over(self, delivery: NotificationSource) -> bool:
        waiting = len(self._handed_over)
        if self._held + waiting >= self._limit and len(self._queues) == 1:
            return self._refuse_unlocked(delivery)
        if self.closed or waiting >= _MAX_HANDED_OVER or self._held + waiting >= self._limit:
            return self._offer_waiting(delivery)
        self._handed_over.append(delivery)
        self._take_handed_over(_MAX_TAKEN_IN)
        return True  # whether it really is, will be decided by the next holder of the lock

    def _offer_waiting(self, delivery: NotificationSource) -> bool:
        """Wait for the lock. In a signal handler that interrupted its holder that is no use."""
        if not self._lock.acquire(timeout=_MAX_OFFER_WAIT_S):
            return self._refuse_unlocked(delivery)
        try:
            accepted = self._enqueue(delivery, too_late=self.closed)
        finally:
            self._lock.release()
        self._take_handed_over(_MAX_TAKEN_IN)
        return accepted

    def _refuse_unlocked(self, delivery: NotificationSource) -> bool:
        """Count it as dropped without the lock. Each step is atomic, so nothing is lost whoever interrupts."""
        reason: Reason = CLOSED if self.closed else QUEUE_FULL
        count = delivery.count
        sums = self._refused_unlocked[reason]
        if count:
            self._unlocked_samples.append((reason, delivery))
        try:
            notifications, telemetry = sums.pop()
        except IndexError:
            notifications = telemetry = 0
        sums.append((notifications + count, telemetry + (not count)))
        return False

    @property
    def _has_uncounted(self) -> bool:
        return any(self._refused_unlocked.values())

    def _take_handed_over(self, most: int = _MAX_HANDED_OVER) -> None:
        """Take in what was handed over, at most so many. To be called after the lock has been released."""
        waiting, lock = self._handed_over, self._lock
        while (waiting or self._has_uncounted) and most > 0 and lock.acquire(False):
            try:
                while waiting and most > 0:
                    most -= 1
                    self._enqueue(waiting.popleft(), too_late=self.ended)
                for reason, sums in self._refused_unlocked.items():
                    while sums:
                        self._count_refused(reason, *sums.popleft())
                while self._unlocked_samples:
                    reason, source = self._unlocked_samples.popleft()
                    refused = self._refused.get(reason)
                    if refused is not None and len(refused.samples) < _MOST_SAMPLES:
                        refused.samples.append(source)
            finally:
                lock.release()
        if waiting:
            self.wakeup.set()

    def _count_refused(self, reason: Reason, count: int, telemetry: int) -> None:
        self.counters.refuse_all(reason, count, telemetry)
        if count:
            self._refused_for(reason).count += count

    @property
    def has_work(self) -> bool:
        return bool(self.size > 0 or self._handed_over) and not self.ended

    @property
    def has_enough_workers(self) -> bool:
        """Whether somebody looks after what is in here."""
        return bool(self.senders) and not self.needs_sender

    @property
    def has_no_workers(self) -> bool:
        """Whether nobody does, not even in part."""
        return not self.senders

    def _enqueue(self, delivery: NotificationSource, too_late: bool) -> bool:
        if too_late:
            return self._refuse(CLOSED, delivery)
        size, count, cluster = weight(delivery), delivery.count, delivery.cluster
        queue = self._own if cluster is None else self._queue_for(cluster)
        # As `_fits` and `_hold`, without the calls: this is on the path of a decision.
        total, handed_over = self._bytes + size, len(self._handed_over)
        is_full = self._held + handed_over >= self._limit or total > self._max_bytes
        if is_full and not self._make_room(queue, size):
            return self._refuse(QUEUE_FULL, delivery)
        self.counters.accept(count)
        self.size += 1
        entry = QueueEntry(delivery, count, size, self._clock(), "", queue.cluster)
        self._held += 1
        self._bytes += size
        queue.held += 1
        queue.size += size
        self._place(queue, entry)
        return True

    def _queue_for(self, cluster: str) -> ClusterQueue:
        """Return the queue of the host that a visitor of this cluster is reported to."""
        host = self.clusters.choose(cluster)
        if host is None:
            return self._own
        queue = self._queues.get(host)
        if queue is None:
            if len(self._queues) >= _MAX_QUEUES and not self._forget_a_queue():
                return self._own
            queue = self._queues[host] = self._new_queue(host)
        return queue

    def _forget_a_queue(self) -> bool:
        """Remove a queue whose first entry was refused, and that has had none since."""
        for cluster, queue in self._queues.items():
            if queue.is_unused and queue is not self._own:
                del self._queues[cluster]
                return True
        return False

    def _new_queue(self, cluster: str | None) -> ClusterQueue:
        return ClusterQueue(cluster)

    def _fits(self, size: int) -> bool:
        return self._held + len(self._handed_over) < self._limit and self._bytes + size <= self._max_bytes

    def _make_room(self, queue: ClusterQueue, size: int) -> bool:
        """Drop the newest entries of longer queues than `queue`. Return whether there is room then."""
        for _ in range(_MAX_EVICTED):
            victim = self._longest_queue()
            if victim is None or self._priority(victim) <= self._priority(queue, joining=1):
                return False
            entry = victim.ready.pop() if victim.ready else victim.failed.pop()
            self._settle(entry)
            self.counters.drop(QUEUE_FULL, entry.count)
            self._note(QUEUE_FULL, entry)
            if self._fits(size):
                return True
        return False

    def _longest_queue(self) -> ClusterQueue | None:
        if len(self._queues) == 1:
            return None
        return max(
            (one for one in self._queues.values() if one.has_waiting), key=self._priority, default=None
        )

    def _priority(self, queue: ClusterQueue, joining: int = 0) -> tuple[bool, int]:
        """How soon a queue gives way when the limit is reached."""
        return self._is_failing(queue), queue.held + joining

    def _is_failing(self, queue: ClusterQueue) -> bool:
        host = self._host_of(queue)
        destination = self._destination(host)
        return self._is_suspect(host, destination) or destination.retry_state.wait(self._clock()) > 0

    def _place(self, queue: ClusterQueue, entry: QueueEntry) -> None:
        queue.ready.append(entry)
        # In doubt, those who wait, wait for a time.
        if (
            queue is not self._own
            or not self._own_destination.retry_state.is_suspect
            or len(queue.ready) == 1
        ):
            self.wakeup.set()
        if self._all_busy:
            self._check_senders()

    def _check_senders(self) -> None:
        """Find out whether a host has deliveries, and all senders are on calls to others."""
        self._all_busy = 0 < len(self.senders) <= len(self._in_flight)
        if self._all_busy:
            self.needs_sender = any(
                queue.has_waiting and not self._destination(self._host_of(queue)).calls
                for queue in self._queues.values()
            )

    def _refuse(self, reason: Reason, delivery: NotificationSource) -> bool:
        self.counters.refuse(reason, delivery.count)
        self._note(reason, delivery)
        return False

    def _note(self, reason: Reason, source: NotificationSource | QueueEntry) -> None:
        if not source.count:
            return
        refused = self._refused_for(reason)
        refused.count += source.count
        if len(refused.samples) < _MOST_SAMPLES:
            refused.samples.append(source)

    def _refused_for(self, reason: Reason) -> RefusedDeliveries:
        refused = self._refused.get(reason)
        if refused is None:
            refused = self._refused[reason] = RefusedDeliveries()
            self.wakeup.set()
        return refused

    # Hosts

    def _host_of(self, queue: ClusterQueue) -> str | None:
        return None if queue.cluster is None else self.clusters.choose(queue.cluster)

    def _destination(self, host: str | None) -> Destination:
        destination = self._destinations.get(host)
        if destination is None:
            self._forget_a_destination()
            retry_state = RetryState(self.policy, self._random)
            destination = self._destinations[host] = Destination(retry_state)
        return destination

    def _forget_a_destination(self) -> None:
        """Drop the retry state of the oldest host that has nothing to do, if there are too many."""
        if len(self._destinations) < _MAX_DESTINATIONS:
            return
        now = self._clock()
        for host, destination in self._destinations.items():
            is_idle = not destination.calls and destination.retry_state.wait(now) <= 0
            if host is not None and host not in self._queues and is_idle:
                del self._destinations[host]
                return

    def _is_suspect(self, host: str | None, destination: Destination) -> bool:
        return destination.retry_state.is_suspect or (host is not None and not self.clusters.is_known(host))

    def _may_call(self, host: str | None, destination: Destination) -> bool:
        """Return whether one more call to the host leaves enough senders for the others."""
        if not self._is_suspect(host, destination):
            return destination.calls < self._max_calls_per_host
        if destination.calls:
            return False  # that call is to find out
        return host is None or self._suspect_calls() < self._max_suspect_calls

    def _suspect_calls(self) -> int:
        return sum(
            one.calls
            for host, one in self._destinations.items()
            if host is not None and one.calls and self._is_suspect(host, one)
        )

    def skip_backoff(self) -> None:
        """Cut short the waits after failures, unless it was a server that asked for them. Takes no lock."""
        for destination in list(self._destinations.values()):
            destination.retry_state.skip_backoff()

    # Sending: the senders

    def take(self, now: float) -> QueueEntry | float | None:
        """The next one to try; or the seconds until there is one, if nothing changes; or None: until the wakeup rings."""
        if self._handed_over:
            self._take_handed_over()
        with self._holding:
            return None if self.ended else self._take(now)

    def _take(self, now: float) -> QueueEntry | float | None:
        soonest: float | None = None
        for queue in self._queues.values():
            if not queue.has_waiting:
                continue
            host = self._host_of(queue)
            destination = self._destination(host)
            if not self._may_call(host, destination):
                continue
            wait = destination.retry_state.wait(now)
            if wait <= 0:
                taken = self._next(queue, destination, now)
                if isinstance(taken, QueueEntry):
                    self._begin_call(queue, taken, host, destination)
                    return taken
                wait = taken
            soonest = wait if soonest is None else min(soonest, wait)
        return soonest

    def _next(self, queue: ClusterQueue, destination: Destination, now: float) -> QueueEntry | float:
        retry_state = destination.retry_state
        # In doubt, a fresh one is the better probe: the failed may have failed for what is in them.
        fresh_first = queue.ready and retry_state.is_suspect
        wait = retry_state.wait_for_retry(now) if queue.failed and not fresh_first else None
        if wait == 0.0:
            retry_state.spend_retry(now)
            self.counters.retry()
            return queue.failed.popleft()
        if queue.ready:
            return queue.ready.popleft()
        return wait or 0.0

    def _begin_call(
        self, queue: ClusterQueue, entry: QueueEntry, host: str | None, destination: Destination
    ) -> None:
        entry.host = host
        destination.calls += 1
        queue.calls.add(entry)
        self._in_flight.add(entry)
        if len(self._queues) > 1:  # the others come first next time
            self._queues[queue.cluster] = self._queues.pop(queue.cluster)
        self._check_senders()
        if any(one.ready for one in self._queues.values()):
            self.wakeup.set()  # one wakes the next

    def _end_call(self, entry: QueueEntry) -> None:
        if entry in self._in_flight:
            self._in_flight.discard(entry)
            self._queues[entry.cluster].calls.discard(entry)
            self._destination(entry.host).calls -= 1
            self._all_busy = False

    def is_behind(self, now: float, patience_s: float) -> bool:
        """Whether something that might be sent has been waiting for longer than that."""
        with self._holding:
            return any(self._is_queue_behind(queue, now, patience_s) for queue in self._queues.values())

    def _is_queue_behind(self, queue: ClusterQueue, now: float, patience_s: float) -> bool:
        if not queue.ready or now - queue.ready[0].born <= patience_s:
            return False
        host = self._host_of(queue)
        destination = self._destination(host)
        return self._may_call(host, destination) and not self._is_failing(queue)

    def mark_sent(self, entry: QueueEntry, started: float) -> None:
        with self._holding:
            destination = self._succeeded(entry, started)
            destination.successes += 1
            if self._settle(entry):
                self.counters.send(entry.count)

    def mark_partly_sent(self, entry: QueueEntry, started: float, missing: int, body: bytes) -> bool:
        """All but `missing` of its notifications were processed; `body` has those. Returns as `failed`."""
        with self._holding:
            self._succeeded(entry, started)
            if entry.settled:
                return True
            self.counters.send(entry.count - missing)
            entry.count = missing
            entry.body, entry.request, entry.is_partial = body, None, True
            entry.isolated_failures += 1
            return self._put_back(entry)

    def _succeeded(self, entry: QueueEntry, started: float) -> Destination:
        destination = self._destination(entry.host)
        destination.retry_state.succeeded(started)
        if entry.host is not None:
            self.clusters.record_response(entry.host)
        return destination

    def mark_failed(self, entry: QueueEntry, error: str) -> bool:
        """It is to be tried again. False if it has failed too often, and is for the sender to give up."""
        with self._holding:
            if entry.settled:
                return True
            destination = self._destination(entry.host)
            if destination.successes > entry.seen:
                entry.isolated_failures += 1
                entry.seen = destination.successes
            self.counters.fail(error)
            return self._put_back(entry)

    def reroute(self, entry: QueueEntry, error: str) -> bool:
        """Put an entry back if it now goes to another host than the one that has just failed."""
        with self._holding:
            if entry.settled:
                return True
            queue = self._queues[entry.cluster]
            if self._host_of(queue) == entry.host:
                return False
            self.counters.fail(error)
            self._end_call(entry)
            queue.failed.append(entry)
            queue.retry_at_once()
            self.wakeup.set()
            return True

    def mark_dropped(self, entry: QueueEntry, reason: Reason, error: str | None) -> bool:
        """It is given up. False if that had been done already."""
        with self._holding:
            mine = self._settle(entry)
            if mine:
                self.counters.drop(reason, entry.count, error)
            return mine

    def host_failed(
        self, entry: QueueEntry, started: float, now: float, *, denied: bool, retry_after: float | None = None
    ) -> None:
        """A call failed: tell the retry_state of its host."""
        with self._holding:
            retry_state = self._destination(entry.host).retry_state
            if denied:
                retry_state.denied(started, now)
            else:
                retry_state.failed(started, now, retry_after)

    def _put_back(self, entry: QueueEntry) -> bool:
        if entry.isolated_failures >= self.policy.max_isolated_failures:
            return False
        self._end_call(entry)
        self._queues[entry.cluster].failed.append(entry)
        self.wakeup.set()
        return True

    def _settle(self, entry: QueueEntry) -> bool:
        self._end_call(entry)
        if entry.settled:
            return False
        entry.settled = True
        self._release(entry)
        self.size -= 1
        if not self.size:
            self._wake_waiters()
        return True

    def _hold(self, queue: ClusterQueue, entry: QueueEntry) -> None:
        """It is in memory."""
        self._held += 1
        self._bytes += entry.size
        queue.held += 1
        queue.size += entry.size

    def _release(self, entry: QueueEntry) -> None:
        """It is no longer in memory."""
        queue = self._queues[entry.cluster]
        self._held -= 1
        self._bytes -= entry.size
        queue.held -= 1
        queue.size -= entry.size
        if queue.is_unused and queue is not self._own:
            del self._queues[entry.cluster]

    @property
    def has_refused(self) -> bool:
        return bool(self._refused)

    def take_refused(self) -> dict[Reason, RefusedDeliveries]:
        """What was refused since the last time."""
        with self._holding:
            refused, self._refused = self._refused, {}
            return refused

    # Waiting, and the end

    def stop_if_idle(self, workers: set[object], token: object) -> bool:
        """Take `token` out of `workers`, unless there is something to do."""
        with self._holding:
            if not self.ended and (self.size or self._handed_over or self._refused):
                return False
            workers.discard(token)
            self._wake_waiters()
            return True

    def is_reachable(self) -> bool:
        """Whether the lock can be had. It cannot in a signal handler that interrupted its holder, for as long as it runs."""
        if not self._lock.acquire(timeout=_LONGEST_LOCK_WAIT_S):
            return False
        self._lock.release()
        self._take_handed_over()
        return True

    def is_empty(self) -> bool:
        if not self._lock.acquire(timeout=_LONGEST_LOCK_WAIT_S):
            return False
        try:
            return not (self.size or self._handed_over)
        finally:
            self._lock.release()
            self._take_handed_over()

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until `condition` holds, which is looked at when the queue is empty and when a thread leaves."""
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
        """Send no more, and drop what is left. Calls under way are given up: what becomes of them is not known."""
        self.closed = self.ended = True
        self.drop_pending()
        self.wakeup.set()

    def drop_pending(self) -> None:
        """Drop what `end` left. Does nothing while somebody keeps the lock: he is followed by one who sweeps."""
        if not self._lock.acquire(timeout=_LONGEST_LOCK_WAIT_S):
            return
        try:
            for queue in tuple(self._queues.values()):
                self._close_entries((*queue.calls, *queue.failed, *queue.ready))
                queue.failed.clear()
                queue.ready.clear()
            self.is_drained = True
        finally:
            self._lock.release()
            self._take_handed_over()

    def drop_arrivals(self) -> None:
        """What is left after `end`, because nobody came to do his part of it, is dropped too."""

    def remove_worker(self, workers: set[object], token: object) -> None:
        """A thread ends, whatever there is to do."""
        workers.discard(token)
        self._wake_waiters()
        self.wakeup.set()

    def _close_entry(self, entry: QueueEntry) -> None:
        self._close_entries((entry,))

    def _close_entries(self, entries: Sequence[QueueEntry]) -> None:
        """Drop entries as `closed`. They may be thousands, at the end of a process whose other threads are busy."""
        left = [entry for entry in entries if self._settle(entry)]
        counted = [entry for entry in left if entry.count]
        for _ in range(len(left) - len(counted)):
            self.counters.drop(CLOSED, 0)  # telemetry only
        if counted:
            count = sum(entry.count for entry in counted)
            self.counters.drop(CLOSED, count)
            refused = self._refused_for(CLOSED)
            refused.count += count
            refused.samples += counted[: max(0, _MOST_SAMPLES - len(refused.samples))]

    def _wake_waiters(self) -> None:
        for wakeup in tuple(self._waiters):
            wakeup.set()


class _Holding:
    """`with` this, one holds the queue's lock; those who handed something over meanwhile are served at the end."""

    __slots__ = ("_queue",)

    def __init__(self, queue: NotificationQueue) -> None:
        self._queue = queue

    def __enter__(self) -> None:
        self._queue._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._queue._lock.release()
        if self._queue._handed_over or self._queue._has_uncounted:
            self._queue._take_handed_over()
