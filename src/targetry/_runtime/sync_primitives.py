"""Synchronization primitives that are safe in signal handlers, finalizers and late gevent patches.

`threading.Event` and `Condition` hold a lock while they notify. A signal handler or a
finalizer that runs at that moment in the same thread, and notifies too, waits for itself. They also
keep the type of lock that existed when they were created: a greenlet that waits on a lock from
before `gevent.monkey.patch_all()` stops its hub.

The classes here hold no lock. Shared state changes by single atomic operations, and a thread that
has to wait creates its lock at that moment through `threading`, so that the type is right.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

_Waiting = deque[Any]  # locks, each held by the thread that sleeps on it


class WakeupEvent:
    """Auto-reset event: `set` releases one waiting thread, or the next one to wait.

    Several sets without a wait in between count once.
    """

    __slots__ = ("_is_set", "_waiting")

    def __init__(self) -> None:
        self._is_set = False
        self._waiting: _Waiting = deque()

    def set(self) -> None:
        """Release one thread. Never waits, never raises."""
        self._is_set = True
        if self._waiting:
            _wake_one(self._waiting)

    def wait(self, seconds: float) -> bool:
        """Wait for at most `seconds` and reset the event; return whether it was set."""
        _wait_for(self._waiting, self._take, seconds)
        return self._reset()

    def _take(self) -> bool:
        return self._is_set

    def _reset(self) -> bool:
        # A `set` between the two reads counts as this one: its caller changed the state before, and
        # the waiter reads the state afterwards.
        was_set, self._is_set = self._is_set, False
        return was_set


class OneShotEvent:
    """Event that stays set: releases all waiting threads, and later ones at once."""

    __slots__ = ("_is_set", "_waiting")

    def __init__(self) -> None:
        self._is_set = False
        self._waiting: _Waiting = deque()

    def is_set(self) -> bool:
        """Return whether `set` was called."""
        return self._is_set

    def set(self) -> None:
        """Release all threads. Never waits, never raises."""
        self._is_set = True
        while self._waiting:
            _wake_one(self._waiting)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for at most `seconds`, without limit if None; return whether the event is set."""
        return _wait_for(self._waiting, self.is_set, threading.TIMEOUT_MAX if seconds is None else seconds)


class Mutex:
    """Lock of one holder at a time; as a context manager it waits without limit."""

    __slots__ = ("_free", "_waiting")

    def __init__(self) -> None:
        self._free: deque[None] = deque([None])  # empty while it is held
        self._waiting: _Waiting = deque()

    def acquire(self, seconds: float) -> bool:
        """Wait for at most `seconds`; return whether it is held now."""
        return _wait_for(self._waiting, self._take, seconds)

    def release(self) -> None:
        """Let the next thread hold it. Never waits, never raises."""
        self._free.append(None)
        if self._waiting:
            _wake_one(self._waiting)

    def __enter__(self) -> None:
        self.acquire(threading.TIMEOUT_MAX)

    def __exit__(self, *_: object) -> None:
        self.release()

    def _take(self) -> bool:
        try:
            self._free.pop()
        except IndexError:
            return False
        return True


def _wait_for(waiting: _Waiting, condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until `condition` holds or `seconds` have passed; return whether it holds."""
    if condition():
        return True
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        lock = threading.Lock()
        lock.acquire()
        waiting.append(lock)
        try:
            # A thread that makes the condition true after this check finds the lock and releases
            # it.
            if condition():
                return True
            lock.acquire(timeout=min(left, threading.TIMEOUT_MAX))
        except BaseException:
            if not _withdraw(waiting, lock):
                _wake_one(waiting)  # the wake-up was for this thread, which cannot use it
            raise
        else:
            _withdraw(waiting, lock)
        if condition():
            return True
    return condition()


def _withdraw(waiting: _Waiting, lock: Any) -> bool:
    """Remove a waiting `lock`; return False if another thread has removed it to release it."""
    try:
        waiting.remove(lock)
    except ValueError:
        return False
    return True


def _wake_one(waiting: _Waiting) -> None:
    try:
        lock = waiting.popleft()
    except IndexError:  # another thread was faster
        return
    lock.release()
