"""A gate that keeps forks out of a piece of work, for what a child process would find half done.

A fork copies what other threads have locked and never brings those threads along. Locks of ours can be made anew in the
child (`background/forks`); those of other people's code, of the import system or of SQLite, cannot. So a fork waits
until nobody is at such work, though not for ever: a child that might hang is better than a parent that does.
"""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager


class ForkGate:
    """Lives as long as the process, since the interpreter has no way to take a fork handler back."""

    def __init__(self, longest_wait_s: float) -> None:
        """`longest_wait_s`: after so many seconds a fork goes ahead all the same."""
        self._longest_wait_s = longest_wait_s
        self._lock = threading.RLock()
        self._forking = threading.local()
        if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
            os.register_at_fork(
                before=self._before, after_in_parent=self._in_parent, after_in_child=self._in_child
            )

    def shut(self) -> AbstractContextManager[object]:
        """No other thread forks inside of `with gate.shut():`, or gets in there. It may nest."""
        return self._lock

    def _before(self) -> None:
        self._forking.has_lock = self._lock.acquire(timeout=self._longest_wait_s)

    def _in_parent(self) -> None:
        if self._forking.has_lock:
            self._lock.release()

    def _in_child(self) -> None:
        self._lock = threading.RLock()
