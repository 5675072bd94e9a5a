"""Daemon threads: starting one that the system may refuse, and a bounded pool with a bounded queue.

Unlike those of `concurrent.futures`, these threads do not delay the end of the process.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from targetry._runtime.forks import register_fork_handler

# Of the whole process, as is the limit that makes the system refuse one.
_refused = 0


def start_daemon_thread(
    name: str, target: Callable[..., object], *arguments: object
) -> threading.Thread | None:
    """Start a daemon thread that calls `target(*arguments)`.

    Return None if the system gives no thread: a limit is reached, or the interpreter is ending. The caller tries again
    at its next occasion.
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
    """Runs functions, in order, in up to `limit` threads, which end when there is nothing left to do."""

    def __init__(self, name: str, *, limit: int, queue_limit: int) -> None:
        self._name = name
        self._limit = limit
        self._queue_limit = queue_limit
        self.after_fork()
        register_fork_handler(self)

    def after_fork(self) -> None:
        """In a child: the threads, and the work that waits, are the parent's."""
        self._lock = threading.RLock()
        self._queue: deque[Callable[[], object]] = deque()
        self._running: set[object] = set()  # a token for each thread

    def submit(self, work: Callable[[], object]) -> None:
        """Have `work`, which must not raise, run soon.

        Raises `QueueFullError` when the queue is full, and `RuntimeError` when the system gives no thread and none is
        there; nothing stays behind of the work then.
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
