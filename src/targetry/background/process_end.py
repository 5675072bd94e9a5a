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
from typing import Any, Final, Protocol

from targetry.forks import call_in_children

_ALL_TOGETHER_S: Final = 1.7


class Closable(Protocol):
    def close(self, timeout: float, /) -> object:
        """Finish within `timeout` seconds. May be called twice. Must not raise."""


# The state of this module has to be the module's, since the interpreter calls one function at its end. Being weak, it
# keeps nobody alive.
_open: weakref.WeakSet[Closable] = weakref.WeakSet()
_finalized_pid = -1


def close_at_exit(owner: Closable) -> None:
    """Have `owner` closed, if it still lives, when this process ends, or one that is forked from it."""
    _open.add(owner)
    process: Any = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        _ask_multiprocessing()


def close_all() -> None:
    """What happens at the end."""
    deadline = time.monotonic() + _ALL_TOGETHER_S
    for owner in list(_open):
        owner.close(max(0.0, deadline - time.monotonic()))


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
