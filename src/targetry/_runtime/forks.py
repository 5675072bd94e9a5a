"""Fork handlers: replacement of locks and threads in a child, and locks that a fork waits for.

A fork copies memory but only the forking thread: locks that other threads hold stay locked in the
child, and their work never ends. An object with locks or threads registers a handler that replaces
them in the child (`register_fork_handler`). Locks of other code, of the import system and of
SQLite, cannot be replaced, so a fork waits until they are free (`ForkLock`).

Servers written in C may fork without Python's handlers, as uWSGI does by default. The first call in
such a child detects the fork (`ensure_after_fork`). On Linux it reads a page of memory that the
kernel fills with zeros in a child: `os.getpid` is a system call, which takes as long as a quarter
of a decision.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final, Protocol

_WIPE_ON_FORK: Final = 18  # MADV_WIPEONFORK, since Linux 4.14; the module mmap has no name for it


class ForkHandler(Protocol):
    """Object with locks or threads."""

    def after_fork(self) -> None:
        """Replace locks and discard threads in a child, before other code runs. Must not raise."""


class ProcessMark(Protocol):
    """Mark whose item 0 is false in a child whose fork was not detected yet."""

    def __getitem__(self, index: int, /) -> int: ...
    def __setitem__(self, index: int, value: int, /) -> None: ...


class _ProcessIdMark:
    """Mark that compares process ids, for systems that cannot wipe a page."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    def __getitem__(self, _: int) -> int:
        return os.getpid() == self._pid

    def __setitem__(self, _: int, value: int) -> None:
        self._pid = os.getpid()


def new_mark() -> ProcessMark:
    """Return a mark of this process."""
    if sys.platform != "linux":
        return _ProcessIdMark()
    import mmap  # not in every build of Python

    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        page.madvise(_WIPE_ON_FORK)
    except OSError:  # an older kernel, or a sandbox
        return _ProcessIdMark()
    try:
        page.madvise(-1)
    except OSError:
        page[0] = 1
        return page
    return _ProcessIdMark()  # an emulator that accepts any advice may ignore this one


# The state belongs to the module, since the interpreter cannot unregister a fork handler. Owners
# are referenced weakly, functions as long as the process lives.
_owners: weakref.WeakSet[ForkHandler] = weakref.WeakSet()
_functions: list[Callable[[], object]] = []
mark: Final = new_mark()
"""Item 0 is false in a child whose fork handlers have not run yet."""
_noticing = threading.RLock()  # a signal handler may make a call while it is held
_child = object()  # replaced in each child


def register_fork_handler(owner: ForkHandler) -> None:
    """Call `owner.after_fork()` in each child that is forked while `owner` exists."""
    _owners.add(owner)


def call_in_children(function: Callable[[], object]) -> None:
    """Call `function` in each child, before the handlers of owners."""
    _functions.append(function)


def ensure_after_fork() -> None:
    """Call the handlers in a child unless that is done; costs a tenth of a microsecond."""
    if not mark[0]:
        with _noticing:
            if not mark[0]:
                _begin_child()


class ForkLock:
    """Lock that a fork waits for. Exists as long as the process."""

    def __init__(self, longest_wait_s: float) -> None:
        """Create the lock; after `longest_wait_s` seconds a fork proceeds without it.

        A child that may hang is better than a parent that does.
        """
        self._longest_wait_s = longest_wait_s
        self._lock = threading.RLock()
        self._forking = threading.local()
        if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
            os.register_at_fork(before=self._before, after_in_parent=self._in_parent)
        call_in_children(self._in_child)

    def hold(self) -> AbstractContextManager[object]:
        """Return a context in which no other thread forks or enters the context. It can nest."""
        return self._lock

    def _before(self) -> None:
        self._forking.has_lock = self._lock.acquire(timeout=self._longest_wait_s)

    def _in_parent(self) -> None:
        if self._forking.has_lock:
            self._lock.release()

    def _in_child(self) -> None:
        self._lock = threading.RLock()


def _begin_child() -> None:
    global _child
    this = _child = object()
    for function in _functions:
        function()
    for owner in list(_owners):
        if _child is not this:  # a signal handler has made a call meanwhile, which called all handlers
            return
        owner.after_fork()
    mark[0] = 1


def _after_fork() -> None:
    global _noticing
    _noticing = threading.RLock()
    _begin_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
