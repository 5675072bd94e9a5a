"""Background delivery of notifications: impressions of on-device decisions, and telemetry.

`Notifier.submit` runs on the path of a decision, so it only appends to a queue. Threads, which
start when there is work and end when there has been none for a while, send the queue to the
Delivery API at a pace that suits the host. If one call after the other is too slow for the
distance, several are under way. Impressions of one visitor that are pending together are one call.
The API refuses a whole call for one wrong token, so the notifications of a call that it refused are
sent again one by one.

Guarantees:

- Memory is bounded, by number and by bytes of the deliveries.
- Each notification is counted: accepted = sent + pending + dropped, at every moment.
- A process may end at any time, and waits at most two seconds for its notifications.
- A forked child starts with an empty queue and sends nothing of its parent.
- With a spool, pending notifications outlive the process; they are then sent at least once, with
  the same ids.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from targetry._runtime.at_exit import close_at_exit, install_exit_hooks
from targetry._runtime.daemon_threads import start_daemon_thread
from targetry._runtime.forks import register_fork_handler
from targetry._runtime.ids import uniform
from targetry._runtime.lazy_import import importing
from targetry._runtime.rate_limited_log import LogSink, RateLimitedLog
from targetry._runtime.sync_primitives import WakeupEvent
from targetry.delivery.clusters import ClusterDirectory
from targetry.delivery.hosts import DeliveryAddress
from targetry.http.protocol import Transport
from targetry.notifications.queue.counters import NotifierStats
from targetry.notifications.queue.entry import BuildRequest, NotificationSource
from targetry.notifications.queue.queue import NotificationQueue
from targetry.notifications.queue.retry_policy import RetryPolicy
from targetry.notifications.sender import Emit, NotificationSender

if TYPE_CHECKING:
    from targetry.notifications.durable_queue import DurableQueue

__all__ = [
    "NotificationSource",
    "Notifier",
    "NotifierStats",
    "RetryPolicy",
]

DEFAULT_QUEUE_LIMIT: Final = 10_000
_QUEUE_BYTES: Final = 32 * 1024 * 1024  # of the requests of a queue as JSON
DEFAULT_SPOOL_BYTES: Final = 1024 * 1024 * 1024

_GRACE_S = 0.2  # for threads to end, once there is no work
_PATIENCE_S = 0.1  # a delivery that has waited for longer needs one more sender,
_SLOW_CALL_S = 0.005  # if calls are so long that senders spend their time waiting
_AFTER_FAULT_S = 1.0
_LINGER_S = 0.01  # in which impressions of one visitor go together
_BACKLOG = 10  # deliveries; more than are under way as long as the Delivery API keeps up


class Notifier:
    """Sends notifications in the background.

    If the queue is full, the newest deliveries of the destination with most of them are dropped.
    A delivery is safe in the spool once the writer has committed it, usually within a millisecond,
    and not yet when `submit` returns.

    Events are described in `targetry.events`: `notification_failed`, `send_notification_error` and
    `notification_spool_failed`. Handlers run in threads of the notifier; one that blocks delays one
    call and no decision.

    Args:
        transport: Transport, which is shared and not closed.
        address: Address of the Delivery API.
        clusters: Directory of edge clusters, shared with the client; entries of a cluster that does
            not answer go to the own host.
        build_request: Builder of the requests, called in threads of the notifier.
        headers: Headers of each call.
        timeout_s: Timeout of one call in seconds.
        emit: Emitter of events.
        log: Log.
        queue_limit: Deliveries in memory; with a spool, more can be on disk.
        max_in_flight: Calls under way at a time.
        policy: Retry policy of each host.
        idle_s: Seconds without work after which a thread ends.
        spool_path: Folder for pending deliveries, which several processes can share. Deliveries
            that dead processes have left there are sent too.
        spool_bytes: Bytes of the requests of one process in the spool.
        clock: Monotonic time in seconds.
        now: Time since the epoch in seconds.
        random: Source of random numbers in [0, 1).
        wait: Waits for an event for at most some seconds; returns whether it was set.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        address: DeliveryAddress,
        clusters: ClusterDirectory,
        build_request: BuildRequest,
        headers: Mapping[str, str],
        timeout_s: float,
        emit: Emit,
        log: LogSink,
        queue_limit: int = DEFAULT_QUEUE_LIMIT,
        max_in_flight: int = 16,
        policy: RetryPolicy | None = None,
        idle_s: float = 30.0,
        spool_path: str | os.PathLike[str] | None = None,
        spool_bytes: int = DEFAULT_SPOOL_BYTES,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        random: Callable[[], float] = uniform,
        wait: Callable[[WakeupEvent, float], bool] = WakeupEvent.wait,
    ) -> None:
        self._transport = transport
        self._address = address
        self._clusters = clusters
        self._build_request = build_request
        self._headers = dict(headers)
        self._timeout_s = timeout_s
        self._emit = emit
        self._log = log
        self._queue_limit = queue_limit
        self._max_in_flight = max_in_flight
        self._policy = policy or RetryPolicy()
        self._idle_s = idle_s
        self._spool = None if spool_path is None else Path(spool_path)
        self._spool_bytes = spool_bytes
        self._clock = clock
        self._now = now
        self._random = random
        self._wait = wait
        self._closed = False
        self._reported: set[str] = set()  # problems with files of the spool
        self._reset()
        close_at_exit(self, Notifier.close, begin=Notifier.begin_close)
        register_fork_handler(self)
        if self._spool is not None and _has_files(self._spool):
            self._recover()

    def submit(self, source: NotificationSource) -> bool:
        """Accept a delivery, or count it as dropped; takes microseconds, never blocks or raises.

        Any thread and any signal handler can call it, also after `close`, when the delivery is
        dropped as `closed`. The request is not built here. Callers have detected forks, by
        `ensure_after_fork`.

        Returns:
            Whether it was accepted. `stats` and events report what becomes of it.
        """
        queue = self._queue
        accepted = queue.submit(source)
        if not queue.senders or queue.needs_sender or self._spool is not None:
            self._ensure_workers(queue)
        return accepted

    def count_undelivered(self, count: int) -> None:
        """Count impressions of a page that failed as dropped: they are not submitted."""
        self._current().count_undelivered(count)

    @property
    def has_backlog(self) -> bool:
        """Whether deliveries wait because the Delivery API does not keep up. Takes no lock."""
        return self._queue.waiting > _BACKLOG

    def flush(self, timeout: float) -> bool:
        """Wait until nothing is pending.

        Waits after failures end at once, except those that a server asked for.

        Args:
            timeout: Longest wait in seconds.

        Returns:
            Whether nothing is pending.
        """
        queue = self._current()
        if not queue.is_reachable():
            return False
        queue.skip_backoff()
        queue.wakeup.set()
        self._ensure_workers(queue)
        return queue.wait_until(queue.is_empty, timeout)

    def close(self, timeout: float) -> None:
        """Send pending deliveries, and end. Never raises, and can be called twice.

        Deliveries that are still pending then, calls under way included, are dropped as `closed`;
        with a spool they stay on disk, and pending in the counters. A signal handler that
        interrupted a submission cannot wait for the threads: they end by themselves in that time,
        and a second call, such as the one at exit, waits for them.

        Args:
            timeout: Longest wait in seconds.
        """
        queue = self._begin_close(timeout)
        if not queue.is_reachable() or not self._drain(queue, timeout):
            return
        queue.end()
        if queue.has_no_workers:
            self._sender.emit_pending_events()
        queue.wait_until(lambda: queue.has_no_workers, self._grace_s(queue))
        queue.drop_arrivals()
        if queue.has_refused:
            self._emit_for_blocked_senders(queue)

    def begin_close(self, timeout: float) -> None:
        """Refuse new deliveries, and let threads send the pending ones. Does not wait.

        Several notifiers that end together begin together; `close` then waits for each.

        Args:
            timeout: Seconds until the threads end.
        """
        queue = self._begin_close(timeout)
        if timeout > 0 and not queue.ended:
            queue.skip_backoff()
            queue.wakeup.set()
            self._ensure_workers(queue)

    def stats(self) -> NotifierStats:
        """Return the counters. Takes no lock."""
        return self._current().stats()

    def after_fork(self) -> None:
        """Start a child with nothing pending, nothing counted and no thread."""
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        queue = (NotificationQueue if self._spool is None else _durable_queue_class())(
            limit=self._queue_limit,
            max_bytes=_QUEUE_BYTES,
            policy=self._policy,
            random=self._random,
            clusters=self._clusters,
            max_calls=self._max_in_flight,
            clock=self._clock,
            linger_s=_LINGER_S,
        )
        queue.closed = queue.ended = self._closed
        self._limited_log = RateLimitedLog(self._log, self._clock)
        self._sender = NotificationSender(
            queue,
            self._transport,
            address=self._address,
            build_request=self._build_request,
            headers=self._headers,
            timeout_s=self._timeout_s,
            emit=self._emit,
            log=self._limited_log,
            clock=self._clock,
            now=self._now,
            on_sender_needed=lambda: self._ensure_workers(queue),
        )
        self._queue = queue

    def _begin_close(self, timeout: float) -> NotificationQueue:
        self._closed = True
        queue = self._current()
        queue.closed = True
        queue.deadline = self._clock() + timeout
        return queue

    def _grace_s(self, queue: NotificationQueue) -> float:
        """Return the seconds left for threads to end; they begin at the deadline of all closes."""
        deadline = queue.deadline
        return _GRACE_S if deadline is None else max(0.0, deadline + _GRACE_S - self._clock())

    def _recover(self) -> None:
        queue = self._queue
        assert isinstance(queue, _durable_queue_class())
        queue.is_recovering = True
        self._ensure_workers(queue)

    def _emit_for_blocked_senders(self, queue: NotificationQueue) -> None:
        """Emit the events on drops that blocked senders would emit when they end.

        A handler may block too, so this is done in a thread.
        """
        workers: set[object] = set()
        sender = self._sender

        def emit(token: object) -> None:
            try:
                sender.emit_pending_events()
            finally:
                queue.remove_worker(workers, token)

        if sender.queue is queue and _start("targetry-notifier", queue, workers, emit):
            queue.wait_until(lambda: not workers, self._grace_s(queue))

    def _current(self) -> NotificationQueue:
        if self._pid != os.getpid():
            self.after_fork()
        return self._queue

    def _drain(self, queue: NotificationQueue, timeout: float) -> bool:
        """Wait until nothing is pending.

        Return False if that is not possible because this thread was interrupted while it was
        starting another one.
        """
        if timeout <= 0 or queue.ended:
            return True
        queue.skip_backoff()
        queue.wakeup.set()
        self._ensure_workers(queue, patience_s=_GRACE_S)
        if queue.has_no_workers:  # there is no work, or the system refuses threads
            return not queue.starting.locked()
        queue.wait_until(queue.is_empty, timeout)
        return True

    # Threads

    def _ensure_workers(self, queue: NotificationQueue, patience_s: float = 0.0) -> None:
        """Start threads that are missing.

        A thread that starts others checks again afterwards, so that no second one has to wait.
        """
        while (
            queue.has_work and not queue.has_enough_workers() and queue.starting.acquire(timeout=patience_s)
        ):
            try:
                if not self._start_missing(queue):
                    return
            finally:
                queue.starting.release()

    def _start_missing(self, queue: NotificationQueue) -> bool:
        if self._spool is not None and not self._start_writer(queue, self._spool):
            return False
        if not queue.senders:
            return self._start_sender(queue)
        queue.needs_sender = False
        self._start_one_more(queue)
        return True

    def _start_sender(self, queue: NotificationQueue) -> bool:
        sender = self._sender
        install_exit_hooks()
        return sender.queue is queue and _start(
            "targetry-notifier", queue, queue.senders, lambda token: self._run_sender(sender, token)
        )

    def _start_one_more(self, queue: NotificationQueue) -> None:
        if len(queue.senders) < self._max_in_flight:
            self._start_sender(queue)

    def _start_writer(self, queue: NotificationQueue, folder: Path) -> bool:
        """Start the spool writer of the queue unless it runs; return whether it runs."""
        from targetry.notifications.spool_writer import SpoolWriter

        assert isinstance(queue, _durable_queue_class())
        if queue.writers:
            return True
        writer = SpoolWriter(
            queue,
            folder,
            address=self._address,
            build_request=self._build_request,
            max_bytes=self._spool_bytes,
            idle_s=self._idle_s,
            reported=self._reported,
            clock=self._clock,
        )

        def work(token: object) -> None:
            writer.run(token)
            self._ensure_workers(queue)

        return _start("targetry-spool", queue, queue.writers, work)

    def _run_sender(self, sender: NotificationSender, token: object) -> None:
        queue = sender.queue
        try:
            # A handler may have forked; in the child the notifier has another queue.
            while self._queue is queue and not queue.ended:
                if not self._step(sender) and queue.stop_if_idle(queue.senders, token):
                    break
            if queue.ended:
                queue.drop_pending()
                sender.emit_pending_events()
        finally:
            queue.remove_worker(queue.senders, token)
        self._ensure_workers(queue)

    def _step(self, sender: NotificationSender) -> bool:
        """Run one step and wait; return False if there has been no work for a long time."""
        queue, began = sender.queue, self._clock()
        try:
            wait = sender.step()
        except Exception as error:  # a fault of this package must not stop the other deliveries
            self._limited_log.error("fault", "the notifier continues after %s", type(error).__name__)
            self._limited_log.debug("the notifier continues after %r", error)
            wait = _AFTER_FAULT_S
        if queue.deadline is not None:  # no other thread may be waiting for it
            left = queue.deadline - self._clock()
            if left <= 0:
                queue.end()
                return True
            wait = min(wait, left)
        if wait == math.inf:
            return queue.sleep(self._idle_s, self._wait)
        if wait > 0:
            queue.sleep(wait, self._wait)
        elif self._clock() - began > _SLOW_CALL_S and queue.is_behind(self._clock(), _PATIENCE_S):
            self._start_one_more(queue)
        return True


def _start(name: str, queue: NotificationQueue, workers: set[object], work: Callable[[object], None]) -> bool:
    """Start a thread whose token is in `workers`; return False if the system refuses a thread."""
    token = object()
    workers.add(token)
    if start_daemon_thread(name, work, token) is None:
        queue.remove_worker(workers, token)
        return False
    return True


def _has_files(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(entry.name.endswith(".lock") for entry in entries)
    except OSError:
        return False


def _durable_queue_class() -> type[DurableQueue]:
    """Import the queue with a spool, and SQLite, which only clients with a spool need."""
    with importing():
        from targetry.notifications import spool_writer  # noqa: F401
        from targetry.notifications.durable_queue import DurableQueue

    return DurableQueue
