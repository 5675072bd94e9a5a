"""A daemon thread that does a step, waits as long as the step said, and does it again.

There is a thread only while something is due. It keeps no reference to the step's owner while it waits, so an owner that
is forgotten without `close` is collected, and its thread ends with it. There is no lock: a signal handler or a finalizer
may call any of this while the same thread is in the middle of it.
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
"""The generation that asked for a step, and the monotonic time at which it is to run."""


class _Worker:
    """A thread, from just before its start to its end."""

    __slots__ = ("ended", "ident")

    def __init__(self) -> None:
        self.ident: int | None = None
        self.ended = OneShotEvent()


class PeriodicTask:
    """Runs `step`, a bound method that never raises, in one thread at a time.

    `step` returns the seconds until it is to run again, or None to let the thread end.
    """

    def __init__(self, name: str, step: Callable[[], float | None]) -> None:
        self._name = name
        self._step = weakref.WeakMethod(step, lambda _: self.close(0))
        self._closed = False
        self.after_fork()

    def after_fork(self) -> None:
        """In a child: no thread, nothing due."""
        self._generation = object()  # replaced by `cancel`: what an earlier one asked for is no longer due
        self._wakeup = WakeupEvent()
        self._asked: deque[Due] = deque(maxlen=1)  # by `schedule`, until the thread takes it over
        self._worker: dict[str, _Worker] = {}  # one at most: `setdefault` decides who starts it

    @property
    def running(self) -> bool:
        """Whether a step is due or under way."""
        return bool(self._worker)

    @property
    def is_current_thread(self) -> bool:
        """Whether this is called by the step."""
        worker = self._worker.get(_ONLY)
        return worker is not None and worker.ident == threading.get_ident()

    def schedule(self, delay_s: float) -> bool:
        """Have the next step run in `delay_s` seconds instead of when it was due.

        Return False after `close`, when it never will, and when the system gives no thread; then the next call tries again.
        """
        if self._closed:
            return False
        self._asked.append((self._generation, time.monotonic() + delay_s))
        self._wakeup.set()
        return self._has_thread()

    def cancel(self) -> None:
        """Nothing is due any more; neither is what a step under way is about to ask for."""
        self._generation = object()
        self._wakeup.set()

    def close(self, timeout_s: float) -> bool:
        """End the thread, and wait for a step under way for at most `timeout_s`. Return whether it has ended."""
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
            self._dismiss(worker)
            return False
        return True

    def _run(self, worker: _Worker) -> None:
        worker.ident = threading.get_ident()
        due: Due | None = None
        try:
            while self._worker.get(_ONLY) is worker:
                due = self._next(due)
                if due is None:
                    if not self._goes_on(worker):
                        return
                elif (left := due[1] - time.monotonic()) > 0:
                    self._wakeup.wait(left)
                else:
                    due = self._do(due[0])
        finally:
            self._dismiss(worker)

    def _next(self, due: Due | None) -> Due | None:
        if self._asked:
            due = self._asked.popleft()
        return due if due is not None and due[0] is self._generation and not self._closed else None

    def _goes_on(self, worker: _Worker) -> bool:
        """Let the thread end, unless something was asked for at this moment by a caller who still counted on it."""
        self._worker.pop(_ONLY, None)
        return bool(self._asked) and not self._closed and self._worker.setdefault(_ONLY, worker) is worker

    def _do(self, generation: object) -> Due | None:
        step = self._step()
        delay_s = step() if step is not None else None
        del step  # while waiting, the owner is not ours to keep
        return None if delay_s is None else (generation, time.monotonic() + delay_s)

    def _dismiss(self, worker: _Worker) -> None:
        if self._worker.get(_ONLY) is worker:
            self._worker.pop(_ONLY, None)
        worker.ended.set()
