"""A bounded number of daemon threads for work that may block, and a bounded queue before them.

Unlike those of `concurrent.futures`, these threads do not hold up the end of the process.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from targetry._runtime.forks import watch_forks
from targetry._runtime.threads import start_daemon_thread


class TooMuchWorkError(Exception):
    """The queue is full."""


class DaemonThreads:
    """Runs functions, in order, in up to `limit` threads, which end when there is nothing left to do."""

    def __init__(self, name: str, *, limit: int, queue_limit: int) -> None:
        self._name = name
        self._limit = limit
        self._queue_limit = queue_limit
        self.after_fork()
        watch_forks(self)

    def after_fork(self) -> None:
        """In a child: the threads, and the work that waits, are the parent's."""
        self._lock = threading.RLock()
        self._queue: deque[Callable[[], object]] = deque()
        self._running: set[object] = set()  # a token for each thread

    def submit(self, work: Callable[[], object]) -> None:
        """Have `work`, which must not raise, run soon.

        Raises `TooMuchWorkError` when the queue is full, and `RuntimeError` when the system gives no thread and none is
        there; nothing stays behind of the work then.
        """
        with self._lock:
            if len(self._queue) >= self._queue_limit:
                raise TooMuchWorkError
            self._queue.append(work)
            if len(self._running) >= self._limit:
                return
            token = object()
            self._running.add(token)  # before the start: the thread may have ended when that returns
            if start_daemon_thread(self._name, self._run, token) is None:
                self._running.discard(token)
                if not self._running:
                    self._queue.remove(work)
                    raise RuntimeError("can't start new thread")

    def _run(self, token: object) -> None:
        while True:
            with self._lock:
                if not self._queue:
                    self._running.discard(token)
                    return
                work = self._queue.popleft()
            work()
