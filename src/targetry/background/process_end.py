"""What is still done when a process ends: all who asked for it are closed, within a time for all of them together.

Processes that multiprocessing starts may end without what `atexit` knows. They have finalizers of their own, which are used
where the program has imported multiprocessing; where it has not, there is no such process.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
import weakref
from collections.abc import Callable
from typing import Any, Final, TypeVar

from targetry.forks import call_in_children

Owner = TypeVar("Owner")

_ALL_TOGETHER_S: Final = 1.7


# The state of this module has to be the module's, since the interpreter calls one function at its end. Being weak, it
# keeps nobody alive.
_open: weakref.WeakKeyDictionary[Any, Callable[[Any, float], object]] = weakref.WeakKeyDictionary()
_finalized_pid = -1


def close_at_exit(owner: Owner, close: Callable[[Owner, float], object]) -> None:
    """Have `close(owner, seconds)` called, if `owner` still lives, when this process ends, or one that is forked from it.

    It has so many seconds; it may be called twice, and must not raise.
    """
    _open[owner] = close
    process: Any = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        _ask_multiprocessing()


def close_all() -> None:
    """What happens at the end."""
    deadline = time.monotonic() + _ALL_TOGETHER_S
    for owner, close in list(_open.items()):
        close(owner, max(0.0, deadline - time.monotonic()))


def _ask_multiprocessing(_: object = None) -> None:
    global _finalized_pid
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None and _finalized_pid != os.getpid():
        _finalized_pid = os.getpid()
        util.Finalize(None, close_all, exitpriority=0)


def _in_child() -> None:
    # Not the finalizer itself: the first thing that a process of multiprocessing does is to forget those of its parent.
    util: Any = sys.modules.get("multiprocessing.util")
    if hasattr(util, "register_after_fork"):  # not yet, where another thread was importing it
        util.register_after_fork(_open, _ask_multiprocessing)


atexit.register(close_all)
call_in_children(_in_child)
