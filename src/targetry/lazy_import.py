"""Imports that wait until they are needed, and a fork that waits for them.

A module that one thread is importing while another forks stays half imported in the child, with its lock taken for ever: whoever
imports it there hangs. So late imports are done inside `importing()`, and a fork first lets them finish.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Final

_LONGEST_FORK_WAIT_S: Final = 30.0  # a busy interpreter gives an import a small share of its time

_gate = threading.RLock()
_forking = threading.local()


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """No other thread forks inside this block. For nothing but imports, which may nest."""
    with _gate:
        yield


def _before_fork() -> None:
    _forking.waited = _gate.acquire(timeout=_LONGEST_FORK_WAIT_S)


def _after_fork_in_parent() -> None:
    if _forking.waited:
        _gate.release()


def _after_fork_in_child() -> None:
    global _gate
    _gate = threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
    )
