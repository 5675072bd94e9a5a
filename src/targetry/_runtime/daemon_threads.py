"""Daemon threads: starting one that the system may refuse, and a bounded pool with a bounded queue.

Unlike those of `concurrent.futures`, these threads do not delay the end of the process.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from targetry._runtime.forks import register_fork_handler

# Of the process, as is the limit on threads.
_refused = 0


def start_daemon_thread(
    name: str, target: Callable[..., object], *arguments: object
) -> threading.Thread | None:
    """Start a daemon thread that calls `target(*arguments)`.

    Return None if the system refuses a thread because a limit is reached or the interpreter ends.
    Callers retry at their next opportunity.
    """
    global _refused
    try:
        thread = threading.Thread(target=target, args=arguments, name=name, daemon=True)
        thread.start()
    except (RuntimeError, MemoryError):
        _refused += 1
        return None
    return thread


def refused_thread_count() -> int:
    """Return how many threads the system has refused to Targetry in this process."""
    return _refused


class QueueFullError(Exception):
    """The queue is full."""


class DaemonThreadPool:
    """Runs functions in order, in up to `limit` threads that end when there is no work."""

    def __init__(self, name: str, *, limit: int, queue_limit: int) -> None:
        self._name = name
        self._limit = limit
        self._queue_limit = queue_limit
        self.after_fork()
        register_fork_handler(self)

    def after_fork(self) -> None:
        """Start a child without the parent's threads and waiting work."""
        self._lock = threading.RLock()
        self._queue: deque[Callable[[], object]] = deque()
        self._running: set[object] = set()  # a token for each thread

    def submit(self, work: Callable[[], object]) -> None:
        """Run `work`, which must not raise, in a thread.

        Raises:
            QueueFullError: If the queue is full.
            RuntimeError: If there is no thread and the system refuses one. The work is not queued.
        """
        with self._lock:
            if len(self._queue) >= self._queue_limit:
                raise QueueFullError
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
