"""Forks: what must be made anew in the child, and what must not be caught half done.

A fork copies memory but only the forking thread: locks held by other threads stay locked for ever in the child, and their work
is never finished. Whoever owns locks or threads asks here to be told, once, in the child (`register_fork_handler`). Locks of other
people's code, of the import system and of SQLite, nobody can make anew, so a fork waits until they are free (`ForkLock`).

Servers written in C may fork without Python's handlers (uWSGI does, unless told otherwise). The first call in such a
child finds out by itself (`ensure_after_fork`).
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol


class ForkHandler(Protocol):
    def after_fork(self) -> None:
        """Runs in the child before anything else does: replace locks, forget threads. Must not raise."""


# The state of this module has to be the module's, since the interpreter has no way to take a fork handler back. Owners
# are kept weakly, and functions for as long as the process lives.
_owners: weakref.WeakSet[ForkHandler] = weakref.WeakSet()
_functions: list[Callable[[], object]] = []
_pid = os.getpid()
_noticing = threading.RLock()  # a signal handler may make a call while it is held
_child = object()  # replaced each time that a child is begun


def register_fork_handler(owner: ForkHandler) -> None:
    """Call `owner.after_fork()` in every child forked while `owner` lives."""
    _owners.add(owner)


def call_in_children(function: Callable[[], object]) -> None:
    """Call `function` in every child, before the owners'."""
    _functions.append(function)


def ensure_after_fork() -> None:
    """Do what is to be done in a child, if that has not been done yet. Costs a tenth of a microsecond."""
    if os.getpid() != _pid:
        with _noticing:
            if os.getpid() != _pid:
                _begin_child()


class ForkLock:
    """Keeps forks out of a piece of work. Lives as long as the process."""

    def __init__(self, longest_wait_s: float) -> None:
        """`longest_wait_s`: after so many seconds a fork goes ahead all the same. A child that might hang is
        better than a parent that does."""
        self._longest_wait_s = longest_wait_s
        self._lock = threading.RLock()
        self._forking = threading.local()
        if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
            os.register_at_fork(before=self._before, after_in_parent=self._in_parent)
        call_in_children(self._in_child)

    def hold(self) -> AbstractContextManager[object]:
        """No other thread forks inside of `with gate.hold():`, or gets in there. It may nest."""
        return self._lock

    def _before(self) -> None:
        self._forking.has_lock = self._lock.acquire(timeout=self._longest_wait_s)

    def _in_parent(self) -> None:
        if self._forking.has_lock:
            self._lock.release()

    def _in_child(self) -> None:
        self._lock = threading.RLock()


def _begin_child() -> None:
    global _child, _pid
    this = _child = object()
    for function in _functions:
        function()
    for owner in list(_owners):
        if _child is not this:  # a signal handler has made a call meanwhile, and so done it all
            return
        owner.after_fork()
    _pid = os.getpid()


def _after_fork() -> None:
    global _noticing
    _noticing = threading.RLock()
    _begin_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
