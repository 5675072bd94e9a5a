"""Periodic task: a daemon thread that runs a step, waits as long as the step returns, and repeats.

There is a thread only while a step is due. It does not reference the owner of the step while it
waits, so that an owner that is dropped without `close` is collected, and its thread ends. There is
no lock: a signal handler or a finalizer can call any method while the same thread is inside one.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Final

from targetry._runtime.daemon_threads import start_daemon_thread
from targetry._runtime.sync_primitives import OneShotEvent, WakeupEvent

_ONLY: Final = "worker"

Due = tuple[object, float]
"""The generation that scheduled a step, and the monotonic time at which it is due."""


class _Worker:
    """A thread, from before its start to its end."""

    __slots__ = ("ended", "ident")

    def __init__(self) -> None:
        self.ident: int | None = None
        self.ended = OneShotEvent()


class PeriodicTask:
    """Runs a step in one thread at a time.

    Args:
        name: Name of the thread.
        step: A bound method that never raises. It returns the seconds until it is due again, or
            None to end the thread.
    """

    def __init__(self, name: str, step: Callable[[], float | None]) -> None:
        self._name = name
        self._step = weakref.WeakMethod(step, lambda _: self.close(0))
        self._closed = False
        self.after_fork()

    def after_fork(self) -> None:
        """Start a child without a thread and with nothing due."""
        self._generation = object()  # replaced by `cancel`: steps of earlier generations are not due
        self._wakeup = WakeupEvent()
        self._asked: deque[Due] = deque(maxlen=1)  # by `schedule`, until the thread takes it
        self._worker: dict[str, _Worker] = {}  # one at most: `setdefault` decides who starts it

    @property
    def running(self) -> bool:
        """Whether a step is due or under way."""
        return bool(self._worker)

    @property
    def is_current_thread(self) -> bool:
        """Whether the current thread is the one of the step."""
        worker = self._worker.get(_ONLY)
        return worker is not None and worker.ident == threading.get_ident()

    def schedule(self, delay_s: float) -> bool:
        """Make the next step due in `delay_s` seconds instead of when it was due.

        Return False after `close`, and if the system refuses a thread; then the next call retries.
        """
        if self._closed:
            return False
        self._asked.append((self._generation, time.monotonic() + delay_s))
        self._wakeup.set()
        return self._has_thread()

    def cancel(self) -> None:
        """Cancel the next step, also the one that a step under way is about to return."""
        self._generation = object()
        self._wakeup.set()

    def close(self, timeout_s: float) -> bool:
        """End the thread; wait up to `timeout_s` for a step under way; return whether it ended."""
        self._closed = True
        self.cancel()
        worker = self._worker.get(_ONLY)
        if worker is None or worker.ident == threading.get_ident():
            return True
        return worker.ended.wait(timeout_s) if timeout_s > 0 else worker.ended.is_set()

    def _has_thread(self) -> bool:
        worker = _Worker()
        if self._worker.setdefault(_ONLY, worker) is not worker:
            return True
        if start_daemon_thread(self._name, self._run, worker) is None:
            self._discard_worker(worker)
            return False
        return True

    def _run(self, worker: _Worker) -> None:
        worker.ident = threading.get_ident()
        due: Due | None = None
        try:
            while self._worker.get(_ONLY) is worker:
                due = self._next(due)
                if due is None:
                    if not self._continues(worker):
                        return
                elif (left := due[1] - time.monotonic()) > 0:
                    self._wakeup.wait(left)
                else:
                    due = self._do(due[0])
        finally:
            self._discard_worker(worker)

    def _next(self, due: Due | None) -> Due | None:
        if self._asked:
            due = self._asked.popleft()
        return due if due is not None and due[0] is self._generation and not self._closed else None

    def _continues(self, worker: _Worker) -> bool:
        """Let the thread end unless a caller has scheduled a step at this moment."""
        self._worker.pop(_ONLY, None)
        return bool(self._asked) and not self._closed and self._worker.setdefault(_ONLY, worker) is worker

    def _do(self, generation: object) -> Due | None:
        step = self._step()
        delay_s = step() if step is not None else None
        del step  # do not reference the owner while waiting
        return None if delay_s is None else (generation, time.monotonic() + delay_s)

    def _discard_worker(self, worker: _Worker) -> None:
        if self._worker.get(_ONLY) is worker:
            self._worker.pop(_ONLY, None)
        worker.ended.set()
