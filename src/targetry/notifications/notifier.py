"""Reports in the background what was shown: decisions made on the device, and what the application asks to send later.

`Notifier.offer` is called on the path of a decision, so it only puts the delivery into the `queue`. Threads, started when
there is something to do and gone when there has been nothing for a while, carry it to the Delivery API (`sender`), at a
pace that suits the endpoint (`retry_state`). More than one call is under way when one after the other is too slow for
the distance. Each delivery stays one call: the API refuses a whole call for one wrong token, so calls are not merged.

What is promised: memory is bounded, by count and bytes; everything is in the books (`counters`), dropped or not; a process may
end at any time, and waits at most two seconds for its notifications; a forked child begins with nothing and sends nothing
of its parent's; with a spool, what is pending outlives the process, and is then sent at least once, with the same ids.
"""

from __future__ import annotations

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
from targetry.notifications.counters import NotifierStats
from targetry.notifications.queue import NotificationQueue
from targetry.notifications.queue_entry import BuildRequest, Delivery, NotificationSource
from targetry.notifications.retry_policy import RetryPolicy
from targetry.notifications.sender import Emit, NotificationSender

if TYPE_CHECKING:
    from targetry.notifications.durable_queue import DurableQueue

__all__ = [
    "Delivery",
    "NotificationSource",
    "Notifier",
    "NotifierStats",
    "RetryPolicy",
]

DEFAULT_QUEUE_LIMIT: Final = 10_000
DEFAULT_QUEUE_BYTES: Final = 32 * 1024 * 1024
DEFAULT_SPOOL_BYTES: Final = 1024 * 1024 * 1024

_GRACE_S = 0.2  # for threads to leave, once there is nothing more to do
_PATIENCE_S = 0.1  # a delivery that has waited for longer calls for one more sender,
_SLOW_CALL_S = 0.005  # if calls are so long that senders spend their time waiting
_AFTER_SURPRISE_S = 1.0
_BACKLOG = 10  # deliveries; more than senders have under way when all is well


class Notifier:
    """Sends deliveries to `address` with `transport`, which it shares and does not close; `timeout_s` bounds each call.

    `headers` go with every call. `clusters` are shared with the client: a cluster that does not answer gives way to
    the own host. At most `queue_limit` deliveries, and about `queue_bytes`, wait in memory; then the newest of the
    destination that has most of them give way. At most `max_in_flight` calls are made at once.

    `spool_path` is a folder for what is pending, which processes may share; a delivery is safe there once the
    writer has written it, usually within a millisecond, and not yet when `offer` returns. It takes up to `spool_bytes`, and
    `queue_limit` then bounds only what is in memory. What dead processes have left in the folder is sent too.

    Events: `notification_failed` (`reason`, `count`, `error`, `notification_ids`) for all that is dropped; those
    refused untried are told together, at most once a second, with at most the ids of a hundred deliveries.
    `send_notification_error` (`notification`, `error`) for each delivery that was given up. `notification_spool_failed`
    (`error`). Handlers run in the notifier's threads. One that blocks keeps one call from being made, and no decision.
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
        queue_bytes: int = DEFAULT_QUEUE_BYTES,
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
        self._queue_bytes = queue_bytes
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
            self._take_over_leftovers()

    def offer(self, delivery: NotificationSource) -> bool:
        """Send it in the background, or count it as dropped. Takes microseconds, never blocks, never raises.

        Its request is not built here.
        False if it was refused. True promises nothing: what becomes of it is in `stats` and told by events. May be called
        from any thread, from a signal handler, and after `close` (it is then dropped as `closed`).
        """
        if self._pid != os.getpid():
            self.after_fork()
        queue = self._queue
        accepted = queue.offer(delivery)
        if not queue.has_enough_workers:
            self._ensure_workers(queue)
        return accepted

    @property
    def has_backlog(self) -> bool:
        """Whether deliveries wait because the Delivery API does not keep up. Takes no lock."""
        return self._queue.size > _BACKLOG

    def flush(self, timeout: float) -> bool:
        """Wait until nothing is pending, at most `timeout` seconds; whether that was reached.

        A wait after failures is cut short, unless it was the server that asked for it.
        """
        queue = self._current()
        if not queue.is_reachable():
            return False
        queue.skip_backoff()
        queue.wakeup.set()
        self._ensure_workers(queue)
        return queue.wait_until(queue.is_empty, timeout)

    def close(self, timeout: float) -> None:
        """Send what is pending, for at most `timeout` seconds, and end. May be called twice, and from a handler.

        What is pending then is dropped as `closed`, calls under way included; or stays in the spool, and pending in the
        books. Raises nothing. In a signal handler that interrupted an offer it cannot wait, and leaves it to the threads to
        come to an end in that time; calling it again, as is done when the process ends, waits for that.
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
        """Refuse what comes from now on, and send what is pending within `timeout` seconds. Waits for nothing.

        Several notifiers that end together begin together; `close` then waits for each.
        """
        queue = self._begin_close(timeout)
        if timeout > 0 and not queue.ended:
            queue.skip_backoff()
            queue.wakeup.set()
            self._ensure_workers(queue)

    def stats(self) -> NotifierStats:
        """The books as they are now. Takes no lock."""
        return self._current().stats()

    def after_fork(self) -> None:
        """In a child: nothing pending, nothing counted, no thread; all that is the parent's."""
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        queue = (NotificationQueue if self._spool is None else _durable_queue_class())(
            limit=self._queue_limit,
            max_bytes=self._queue_bytes,
            policy=self._policy,
            random=self._random,
            clusters=self._clusters,
            max_calls=self._max_in_flight,
            clock=self._clock,
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
        """Seconds that are left for threads to leave. They begin at the deadline, so several closes share them."""
        deadline = queue.deadline
        return _GRACE_S if deadline is None else max(0.0, deadline + _GRACE_S - self._clock())

    def _take_over_leftovers(self) -> None:
        queue = self._queue
        assert isinstance(queue, _durable_queue_class())
        queue.is_recovering = True
        self._ensure_workers(queue)

    def _emit_for_blocked_senders(self, queue: NotificationQueue) -> None:
        """What was dropped, which the senders would tell when they leave. Not in this thread: a handler may hang too."""
        speakers: set[object] = set()
        sender = self._sender

        def speak(token: object) -> None:
            try:
                sender.emit_pending_events()
            finally:
                queue.remove_worker(speakers, token)

        if sender.queue is queue and _start("targetry-notifier", queue, speakers, speak):
            queue.wait_until(lambda: not speakers, self._grace_s(queue))

    def _current(self) -> NotificationQueue:
        if self._pid != os.getpid():
            self.after_fork()
        return self._queue

    def _drain(self, queue: NotificationQueue, timeout: float) -> bool:
        """Wait until nothing is pending. False if that is not possible here: this thread was interrupted while starting."""
        if timeout <= 0 or queue.ended:
            return True
        queue.skip_backoff()
        queue.wakeup.set()
        self._ensure_workers(queue, patience_s=_GRACE_S)
        if queue.has_no_workers:  # or there is no thread to be had, and nothing to wait for
            return not queue.starting.locked()
        queue.wait_until(queue.is_empty, timeout)
        return True

    # Threads

    def _ensure_workers(self, queue: NotificationQueue, patience_s: float = 0.0) -> None:
        """Have somebody look after the queue. Whoever is starting looks again afterwards, so nobody needs to wait for him."""
        while queue.has_work and not queue.has_enough_workers and queue.starting.acquire(timeout=patience_s):
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
        """Have the queue's one writer at work."""
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
            # A handler may have forked; in the child the queue is another one, and this thread is not its sender.
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
        """False: there was nothing to do for a long time."""
        queue, began = sender.queue, self._clock()
        try:
            wait = sender.step()
        except Exception as error:  # whatever it is, there are others to be sent
            self._limited_log.error("surprise", "The notifier goes on after %s", type(error).__name__)
            self._limited_log.debug("The notifier goes on after %r", error)
            wait = _AFTER_SURPRISE_S
        if queue.deadline is not None:  # nobody may be waiting for it
            left = queue.deadline - self._clock()
            if left <= 0:
                queue.end()
                return True
            wait = left if wait is None else min(wait, left)
        if wait is None:
            return self._wait(queue.wakeup, self._idle_s)
        if wait > 0:
            self._wait(queue.wakeup, wait)
        elif self._clock() - began > _SLOW_CALL_S and queue.is_behind(self._clock(), _PATIENCE_S):
            self._start_one_more(queue)
        return True


def _start(name: str, queue: NotificationQueue, workers: set[object], work: Callable[[object], None]) -> bool:
    """Have a thread do `work`, in which it stays a member of `workers`. Return False if the system gives no thread."""
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
    """With SQLite, which only those need who want a spool."""
    with importing():
        from targetry.notifications import spool_writer  # noqa: F401
        from targetry.notifications.durable_queue import DurableQueue

    return DurableQueue
