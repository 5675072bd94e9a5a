"""A bounded number of daemon threads for work that may block, and a bounded queue before them.

Unlike those of `concurrent.futures`, these threads do not hold up the end of the process.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from targetry.forks import watch_forks


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
        self._threads: set[threading.Thread] = set()

    def submit(self, work: Callable[[], object]) -> None:
        """Have `work`, which must not raise, run soon.

        Raises `TooMuchWorkError` when the queue is full, and `RuntimeError` when the system gives no thread and none is
        there; nothing stays behind of the work then.
        """
        with self._lock:
            if len(self._queue) >= self._queue_limit:
                raise TooMuchWorkError
            self._queue.append(work)
            if len(self._threads) >= self._limit:
                return
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            try:
                thread.start()
            except RuntimeError:
                if not self._threads:
                    self._queue.remove(work)
                    raise
            else:
                self._threads.add(thread)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._queue:
                    self._threads.discard(threading.current_thread())
                    return
                work = self._queue.popleft()
            work()
