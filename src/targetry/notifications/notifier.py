"""Reports in the background what was shown: decisions made on the device, and what the application asks to send later.

`Notifier.offer` is called on the path of a decision, so it only puts the delivery into the `outbox`. Threads, started when
there is something to do and gone when there has been nothing for a while, carry it to the Delivery API (`courier`), at a
pace that suits the endpoint (`throttle`). More than one call is under way when one after the other is too slow for
the distance. Each delivery stays one call: the API refuses a whole call for one wrong token, so calls are not merged.

What is promised: memory is bounded, by count and bytes; everything is in the books (`ledger`), dropped or not; a process may
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
_PATIENCE_S = 0.1  # a delivery that has waited for longer calls for one more courier,
_SLOW_CALL_S = 0.005  # if calls are so long that couriers spend their time waiting
_AFTER_SURPRISE_S = 1.0
_BACKLOG = 10  # deliveries; more than couriers have under way when all is well


class Notifier:
    """Sends deliveries to `address` with `transport`, which it shares and does not close; `timeout_s` bounds each call.

    `headers` go with every call. `clusters` are shared with the client: a cluster that does not answer gives way to
    the own host. At most `queue_limit` deliveries, and about `queue_bytes`, wait in memory; then the newest of the
    destination that has most of them give way. At most `max_in_flight` calls are made at once.

    `spool_path` is a folder for what is pending, which processes may share; a delivery is safe there once the
    scribe has written it, usually within a millisecond, and not yet when `offer` returns. It takes up to `spool_bytes`, and
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
        self._begin()
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
        outbox = self._outbox
        accepted = outbox.offer(delivery)
        if not outbox.staffed:
            self._staff(outbox)
        return accepted

    @property
    def has_backlog(self) -> bool:
        """Whether deliveries wait because the Delivery API does not keep up. Takes no lock."""
        return self._outbox.size > _BACKLOG

    def flush(self, timeout: float) -> bool:
        """Wait until nothing is pending, at most `timeout` seconds; whether that was reached.

        A wait after failures is cut short, unless it was the server that asked for it.
        """
        outbox = self._current()
        if not outbox.is_reachable():
            return False
        outbox.hurry()
        outbox.bell.set()
        self._staff(outbox)
        return outbox.wait_until(outbox.is_empty, timeout)

    def close(self, timeout: float) -> None:
        """Send what is pending, for at most `timeout` seconds, and end. May be called twice, and from a handler.

        What is pending then is dropped as `closed`, calls under way included; or stays in the spool, and pending in the
        books. Raises nothing. In a signal handler that interrupted an offer it cannot wait, and leaves it to the threads to
        come to an end in that time; calling it again, as is done when the process ends, waits for that.
        """
        outbox = self._begin_close(timeout)
        if not outbox.is_reachable() or not self._drain(outbox, timeout):
            return
        outbox.end()
        if outbox.deserted:
            self._courier.last_words()
        outbox.wait_until(lambda: outbox.deserted, self._grace_s(outbox))
        outbox.abandon()
        if outbox.has_refused:
            self._tell_for_those_who_hang(outbox)

    def begin_close(self, timeout: float) -> None:
        """Refuse what comes from now on, and send what is pending within `timeout` seconds. Waits for nothing.

        Several notifiers that end together begin together; `close` then waits for each.
        """
        outbox = self._begin_close(timeout)
        if timeout > 0 and not outbox.ended:
            outbox.hurry()
            outbox.bell.set()
            self._staff(outbox)

    def stats(self) -> NotifierStats:
        """The books as they are now. Takes no lock."""
        return self._current().stats()

    def after_fork(self) -> None:
        """In a child: nothing pending, nothing counted, no thread; all that is the parent's."""
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        outbox = (NotificationQueue if self._spool is None else _durable_queue_class())(
            limit=self._queue_limit,
            max_bytes=self._queue_bytes,
            policy=self._policy,
            random=self._random,
            clusters=self._clusters,
            max_calls=self._max_in_flight,
            clock=self._clock,
        )
        outbox.shut = outbox.ended = self._closed
        self._limited_log = RateLimitedLog(self._log, self._clock)
        self._courier = NotificationSender(
            outbox,
            self._transport,
            address=self._address,
            build_request=self._build_request,
            headers=self._headers,
            timeout_s=self._timeout_s,
            emit=self._emit,
            log=self._limited_log,
            clock=self._clock,
            now=self._now,
            on_short_handed=lambda: self._staff(outbox),
        )
        self._outbox = outbox

    def _begin_close(self, timeout: float) -> NotificationQueue:
        self._closed = True
        outbox = self._current()
        outbox.shut = True
        outbox.deadline = self._clock() + timeout
        return outbox

    def _grace_s(self, outbox: NotificationQueue) -> float:
        """Seconds that are left for threads to leave. They begin at the deadline, so several closes share them."""
        deadline = outbox.deadline
        return _GRACE_S if deadline is None else max(0.0, deadline + _GRACE_S - self._clock())

    def _take_over_leftovers(self) -> None:
        outbox = self._outbox
        assert isinstance(outbox, _durable_queue_class())
        outbox.opening = True
        self._staff(outbox)

    def _tell_for_those_who_hang(self, outbox: NotificationQueue) -> None:
        """What was dropped, which the couriers would tell when they leave. Not in this thread: a handler may hang too."""
        speakers: set[object] = set()
        courier = self._courier

        def speak(token: object) -> None:
            try:
                courier.last_words()
            finally:
                outbox.leave(speakers, token)

        if courier.outbox is outbox and _start("targetry-notifier", outbox, speakers, speak):
            outbox.wait_until(lambda: not speakers, self._grace_s(outbox))

    def _current(self) -> NotificationQueue:
        if self._pid != os.getpid():
            self.after_fork()
        return self._outbox

    def _drain(self, outbox: NotificationQueue, timeout: float) -> bool:
        """Wait until nothing is pending. False if that is not possible here: this thread was interrupted while hiring."""
        if timeout <= 0 or outbox.ended:
            return True
        outbox.hurry()
        outbox.bell.set()
        self._staff(outbox, patience_s=_GRACE_S)
        if outbox.deserted:  # or there is no thread to be had, and nothing to wait for
            return not outbox.hiring.locked()
        outbox.wait_until(outbox.is_empty, timeout)
        return True

    # Threads

    def _staff(self, outbox: NotificationQueue, patience_s: float = 0.0) -> None:
        """Have somebody look after the outbox. Whoever is hiring looks again afterwards, so nobody needs to wait for him."""
        while outbox.has_work and not outbox.staffed and outbox.hiring.acquire(timeout=patience_s):
            try:
                if not self._hire_missing(outbox):
                    return
            finally:
                outbox.hiring.release()

    def _hire_missing(self, outbox: NotificationQueue) -> bool:
        if self._spool is not None and not self._hire_scribe(outbox, self._spool):
            return False
        if not outbox.crew:
            return self._hire_courier(outbox)
        outbox.short_handed = False
        self._hire_one_more(outbox)
        return True

    def _hire_courier(self, outbox: NotificationQueue) -> bool:
        courier = self._courier
        install_exit_hooks()
        return courier.outbox is outbox and _start(
            "targetry-notifier", outbox, outbox.crew, lambda token: self._serve(courier, token)
        )

    def _hire_one_more(self, outbox: NotificationQueue) -> None:
        if len(outbox.crew) < self._max_in_flight:
            self._hire_courier(outbox)

    def _hire_scribe(self, outbox: NotificationQueue, folder: Path) -> bool:
        """Have the outbox's one scribe at work."""
        from targetry.notifications.spool_writer import SpoolWriter

        assert isinstance(outbox, _durable_queue_class())
        if outbox.scribes:
            return True
        scribe = SpoolWriter(
            outbox,
            folder,
            address=self._address,
            build_request=self._build_request,
            max_bytes=self._spool_bytes,
            idle_s=self._idle_s,
            reported=self._reported,
            clock=self._clock,
        )

        def work(token: object) -> None:
            scribe.run(token)
            self._staff(outbox)

        return _start("targetry-spool", outbox, outbox.scribes, work)

    def _serve(self, courier: NotificationSender, token: object) -> None:
        outbox = courier.outbox
        try:
            # A handler may have forked; in the child the outbox is another one, and this thread is not its courier.
            while self._outbox is outbox and not outbox.ended:
                if not self._take_turn(courier) and outbox.retire(outbox.crew, token):
                    break
            if outbox.ended:
                outbox.sweep()
                courier.last_words()
        finally:
            outbox.leave(outbox.crew, token)
        self._staff(outbox)

    def _take_turn(self, courier: NotificationSender) -> bool:
        """False: there was nothing to do for a long time."""
        outbox, began = courier.outbox, self._clock()
        try:
            wait = courier.turn()
        except Exception as error:  # whatever it is, there are others to be sent
            self._limited_log.error("surprise", "The notifier goes on after %s", type(error).__name__)
            self._limited_log.debug("The notifier goes on after %r", error)
            wait = _AFTER_SURPRISE_S
        if outbox.deadline is not None:  # nobody may be waiting for it
            left = outbox.deadline - self._clock()
            if left <= 0:
                outbox.end()
                return True
            wait = left if wait is None else min(wait, left)
        if wait is None:
            return self._wait(outbox.bell, self._idle_s)
        if wait > 0:
            self._wait(outbox.bell, wait)
        elif self._clock() - began > _SLOW_CALL_S and outbox.is_behind(self._clock(), _PATIENCE_S):
            self._hire_one_more(outbox)
        return True


def _start(name: str, outbox: NotificationQueue, crew: set[object], work: Callable[[object], None]) -> bool:
    """Have a thread do `work`, in which it stays a member of `crew`. Return False if the system gives no thread."""
    token = object()
    crew.add(token)
    if start_daemon_thread(name, work, token) is None:
        outbox.leave(crew, token)
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
