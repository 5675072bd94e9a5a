"""At-exit hook: everything that registered here is closed when the process ends, within one time limit for all.

`atexit` alone does not know every end. Processes that multiprocessing and billiard start end by `os._exit`, after finalizers
of their own. A worker of billiard's pool runs not even those: its parent asks it to end by SIGTERM. Celery emits a signal.
Each of them is used where the program has imported it; where it has not, there is no such process.
"""

from __future__ import annotations

import atexit
import itertools
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Final, TypeVar

Owner = TypeVar("Owner")
Closing = Callable[[Any, float], object]

# Of the two seconds that an end may take: other threads that go on working slow the rest of it down.
_ALL_TOGETHER_S: Final = 1.4
_SWITCH_INTERVAL_S: Final = 0.0005
_FINALIZERS: Final = ("multiprocessing", "billiard")

# The state of this module has to be the module's, since the interpreter calls one function at its end. Being weak, it
# keeps no owner alive. A plain dict can be copied in one step while other threads register.
_open: dict[int, tuple[weakref.ref[Any], Closing, Closing | None]] = {}
_keys = itertools.count()
_watched_pid = -1


def close_at_exit(
    owner: Owner,
    close: Callable[[Owner, float], object],
    *,
    begin: Callable[[Owner, float], object] | None = None,
) -> None:
    """Register `owner` to be closed when this process ends, or one that is forked from it, if it still lives.

    `begin(owner, seconds)` is called for all owners first, and must not wait; then `close(owner, seconds)` one after the other.
    `seconds` are those that are left for all together, below 0 when they are over. `close` may be called twice; neither may raise.
    """
    key = next(_keys)
    _open[key] = weakref.ref(owner, lambda _: _open.pop(key, None)), close, begin
    install_exit_hooks()


def close_all() -> None:
    """Close all owners."""
    deadline = time.monotonic() + _ALL_TOGETHER_S
    # Each time this thread has waited for something, busy daemon threads keep the interpreter for an interval each.
    interval = sys.getswitchinterval()
    sys.setswitchinterval(min(interval, _SWITCH_INTERVAL_S))
    try:
        _close_owners(deadline)
    finally:
        sys.setswitchinterval(interval)


def _close_owners(deadline: float) -> None:
    owners = [
        (owner, close, begin) for ref, close, begin in _open.copy().values() if (owner := ref()) is not None
    ]
    for owner, _, begin in owners:
        if begin is not None:
            begin(owner, deadline - time.monotonic())
    for owner, close, _ in owners:
        close(owner, deadline - time.monotonic())


def install_exit_hooks() -> None:
    """Ask everything that may end this process without `atexit` to call `close_all` before.

    Owners call this again when they begin to work, since a process may have been forked after they registered.
    """
    global _watched_pid
    _watch_billiard_pool()
    if _watched_pid == os.getpid():
        return
    _watched_pid = os.getpid()
    for package in _FINALIZERS:
        _add_finalizer(package)
    _watch_celery()


def _add_finalizer(package: str) -> None:
    """Use the finalizers of `multiprocessing` or `billiard`, if this is a process that it started."""
    process: Any = sys.modules.get(f"{package}.process")
    util: Any = sys.modules.get(f"{package}.util")
    if process is None or util is None or process.current_process().name == "MainProcess":
        return
    util.Finalize(None, close_all, exitpriority=0)


def _watch_celery() -> None:
    signals: Any = sys.modules.get("celery.signals")
    if signals is not None:
        signals.worker_process_shutdown.connect(_on_shutdown, weak=False, dispatch_uid="targetry")


def _on_shutdown(*_: object, **__: object) -> None:
    close_all()


def _watch_billiard_pool() -> None:
    """In a worker of billiard's pool, put `close_all` before the handler that billiard has set for SIGTERM."""
    handler: Any = signal.getsignal(signal.SIGTERM)
    is_main_thread = threading.current_thread() is threading.main_thread()
    if not is_main_thread or getattr(handler, "__module__", None) != "billiard.common":
        return

    def close_and_go_on(number: int, frame: object) -> None:
        close_all()
        handler(number, frame)

    signal.signal(signal.SIGTERM, close_and_go_on)


atexit.register(close_all)
