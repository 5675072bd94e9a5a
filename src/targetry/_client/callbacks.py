"""Pool of threads for calls with a callback; exactly one of the two callbacks is called.

A call has a deadline that counts from its submission. All calls of a client have the same timeout,
so the calls before one that waits for a thread have ended by its deadline. A callback has no
deadline, and one that blocks occupies its thread. So more threads than concurrent calls are
allowed, and are started when calls wait because of callbacks.

Submission takes no blocking lock: a signal handler can submit a call while it interrupts a
submission.
"""

from __future__ import annotations

import contextvars
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from targetry._runtime.daemon_threads import start_daemon_thread
from targetry._runtime.lazy_import import importing
from targetry._runtime.logger import Log
from targetry._runtime.periodic_task import PeriodicTask
from targetry._runtime.sync_primitives import WakeupEvent
from targetry.errors import ClosedError, NoThreadError, TargetError

if TYPE_CHECKING:
    from targetry._client.pending_call import PendingCall

T = TypeVar("T")

MAX_CALLS: Final = 16
MAX_THREADS: Final = 64
MAX_WAITING: Final = 10_000
_IDLE_S: Final = 30.0
_WATCH_S: Final = 0.01
_BLOCKED_S: Final = 0.25  # a callback that takes longer blocks other calls
_SOON_BLOCKED_S: Final = 0.01  # the same for calls past their deadline


class _Task(msgspec.Struct, Generic[T], eq=False):
    call: Callable[[], T]
    callback: Callable[[T], Any]
    err_callback: Callable[[BaseException], Any] | None
    deadline: float  # of time.perf_counter
    pending: PendingCall[T]
    context: contextvars.Context


class _Worker:
    """Thread of the pool. `callback_since` is when its running callback began, else None."""

    __slots__ = ("callback_since", "is_idle")

    def __init__(self) -> None:
        self.is_idle = False
        self.callback_since: float | None = None

    def is_in_callback(self, seconds: float) -> bool:
        """Return whether its callback has been running for more than `seconds`."""
        since = self.callback_since
        return since is not None and time.perf_counter() - since > seconds


class CallbackPool:
    """Pool of up to 16 calls at a time, in daemon threads that start on demand."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._closed = False
        self._pending_call: type[PendingCall[Any]] | None = None  # set at its first use
        self._begin()

    def submit(
        self,
        call: Callable[[], T],
        callback: Callable[[T], Any],
        err_callback: Callable[[BaseException], Any] | None,
        deadline: float = float("inf"),
    ) -> PendingCall[T]:
        """Start `call`; pass its result to `callback`, or its exception to `err_callback`.

        All of them run in a copy of the caller's context (`contextvars`).

        Args:
            call: The call to make in a thread.
            callback: Called with the result. An exception that it raises is logged.
            err_callback: Called with the exception of the call.
            deadline: Time at which the call ends by itself, on the clock of `time.perf_counter`.

        Returns:
            The `AsyncResult` of the call.

        Raises:
            NoThreadError: The system refuses a thread; nothing was started.
            TargetError: Too many calls wait already; nothing was started.
            ClosedError: The pool is closed.
        """
        if self._pid != os.getpid():
            self._begin()
        if self._closed:
            raise ClosedError("the client is closed")
        if len(self._queue) >= MAX_WAITING:
            raise TargetError(f"the call was not started: {MAX_WAITING} calls with callbacks are waiting")
        pending = (self._pending_call or self._load())()
        task = _Task(call, callback, err_callback, deadline, pending, contextvars.copy_context())
        self._queue.append(task)
        self._wakeup.set()
        self._start_missing()
        if not self._workers and self._withdraw(task):
            raise NoThreadError("the call was not started: the system refuses a thread; try again later")
        if self._queue:
            self._watch.schedule(_WATCH_S)
        return pending

    def close(self) -> None:
        """Accept no more calls; submitted ones continue. Can be called twice."""
        self._closed = True
        if self._pid == os.getpid():
            for _ in range(MAX_THREADS):
                self._wakeup.set()
            self._watch.close(0)

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._queue: deque[_Task[Any]] = deque()
        self._workers: set[_Worker] = set()
        self._wakeup = WakeupEvent()
        self._starting = threading.Lock()  # never waited for
        self._watch = PeriodicTask("targetry-callback-watch", self._watch_queue)

    def _load(self) -> type[PendingCall[Any]]:
        with importing():  # 20 ms that few programs need
            from targetry._client.pending_call import PendingCall

        self._pending_call = PendingCall
        return PendingCall

    def _withdraw(self, task: _Task[Any]) -> bool:
        try:
            self._queue.remove(task)
        except ValueError:  # a thread has it after all
            return False
        return True

    # Threads

    def _start_missing(self) -> None:
        """Start a thread if calls wait and none is free, one starter at a time."""
        while self._lacks_thread() and self._starting.acquire(False):
            try:
                if not self._start():
                    return
            finally:
                self._starting.release()

    def _lacks_thread(self) -> bool:
        workers = self._workers.copy()
        if not self._queue or len(workers) >= MAX_THREADS or any(one.is_idle for one in workers):
            return False
        return sum(not one.is_in_callback(_BLOCKED_S) for one in workers) < MAX_CALLS

    def _start(self) -> bool:
        worker = _Worker()
        self._workers.add(worker)
        if start_daemon_thread("targetry-callback", self._work, worker) is None:
            self._workers.discard(worker)
            return False
        return True

    def _watch_queue(self) -> float | None:
        """Start threads for calls that wait for callbacks; return the seconds to the next check."""
        self._start_missing()
        if any(one.is_in_callback(_SOON_BLOCKED_S) for one in self._workers.copy()):
            now = time.perf_counter()
            late = sum(1 for _ in takewhile(lambda task: task.deadline <= now, self._queue.copy()))
            for _ in range(min(late, MAX_THREADS - len(self._workers))):
                self._start()
        return _WATCH_S if self._queue else None

    def _work(self, worker: _Worker) -> None:
        try:
            while (task := self._next(worker)) is not None:
                if self._queue:
                    self._wakeup.set()
                    self._start_missing()
                task.context.run(self._run, task, worker)
                del task  # a waiting thread must not keep it alive
        finally:
            self._workers.discard(worker)

    def _next(self, worker: _Worker) -> _Task[Any] | None:
        """Return the next task; None if there was none for 30 seconds, or the pool is closed."""
        while True:
            try:
                return self._queue.popleft()
            except IndexError:
                pass
            if self._closed:
                self._wakeup.set()  # wakes the next idle thread
                return None
            worker.is_idle = True
            is_woken = self._wakeup.wait(_IDLE_S)
            worker.is_idle = False
            if not is_woken and not self._queue:
                return None

    # Calls

    def _run(self, task: _Task[T], worker: _Worker) -> None:
        try:
            result = task.call()
        except BaseException as error:
            self._call_back(task.err_callback, error, worker)
            task.pending.fail(error)
        else:
            self._call_back(task.callback, result, worker)
            task.pending.succeed(result)

    def _call_back(self, callback: Callable[[Any], Any] | None, value: object, worker: _Worker) -> None:
        if callback is None:
            return
        worker.callback_since = time.perf_counter()
        try:
            callback(value)
        except BaseException as error:
            name = getattr(callback, "__qualname__", None) or repr(callback)
            self._log.error("The callback %s failed: %r", name, error)
        finally:
            worker.callback_since = None
