"""What must be made anew in a child process after `os.fork()`.

A fork copies memory but only the forking thread: locks held by other threads stay locked for ever in the child, and
their work is never finished. Whoever owns locks or threads asks here to be told, once, in the child.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class ForkAware(Protocol):
    def after_fork(self) -> None:
        """Runs in the child before anything else does: replace locks, forget threads. Must not raise."""


# The one piece of state of this module. It has to be the module's, since the interpreter has no way to
# take a fork handler back; being weak, it keeps nobody alive.
_watched: weakref.WeakSet[ForkAware] = weakref.WeakSet()


def watch_forks(owner: ForkAware) -> None:
    """Call `owner.after_fork()` in every child forked while `owner` lives."""
    _watched.add(owner)


def _in_child() -> None:
    for owner in list(_watched):
        owner.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_in_child)
