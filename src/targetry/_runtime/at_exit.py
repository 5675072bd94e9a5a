"""At-exit hook: closes registered objects when the process ends, within one time limit for all.

`atexit` does not cover all ways in which a process ends. Processes of multiprocessing and billiard
end by `os._exit`, after finalizers of these packages. A worker of billiard's pool does not run
them, as its parent ends it by SIGTERM. Celery emits a signal. Each of these hooks is used if the
program has imported the package.
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

# Of the two seconds that an end is allowed to take; busy threads slow down the rest of it.
_ALL_TOGETHER_S: Final = 1.4
_SWITCH_INTERVAL_S: Final = 0.0005
_FINALIZERS: Final = ("multiprocessing", "billiard")

# The state belongs to the module, since the interpreter calls one function at its end. Weak
# references keep no owner alive. A dict can be copied in one step while other threads register.
_open: dict[int, tuple[weakref.ref[Any], Closing, Closing | None]] = {}
_keys = itertools.count()
_watched_pid = -1


def close_at_exit(
    owner: Owner,
    close: Callable[[Owner, float], object],
    *,
    begin: Callable[[Owner, float], object] | None = None,
) -> None:
    """Close `owner` when this process or one that is forked from it ends, if `owner` still exists.

    Args:
        owner: The object, which is referenced weakly.
        close: Called as `close(owner, seconds)` for one owner after the other, perhaps twice.
            `seconds` are left for all together, below 0 if none are left. Must not raise.
        begin: Called as `begin(owner, seconds)` for all owners before. Must not wait or raise.
    """
    key = next(_keys)
    _open[key] = weakref.ref(owner, lambda _: _open.pop(key, None)), close, begin
    install_exit_hooks()


def close_all() -> None:
    """Close all owners."""
    deadline = time.monotonic() + _ALL_TOGETHER_S
    # After each wait of this thread, each busy daemon thread keeps the interpreter for an interval.
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
    """Install the hooks for ends without `atexit`.

    Owners call this again when they start to work, since a process may have been forked after they
    registered.
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
    """Use the finalizers of `multiprocessing` or `billiard` in a process that it has started."""
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
    """In a worker of billiard's pool, call `close_all` before billiard's handler for SIGTERM."""
    handler: Any = signal.getsignal(signal.SIGTERM)
    is_main_thread = threading.current_thread() is threading.main_thread()
    if not is_main_thread or getattr(handler, "__module__", None) != "billiard.common":
        return

    def close_and_go_on(number: int, frame: object) -> None:
        close_all()
        handler(number, frame)

    signal.signal(signal.SIGTERM, close_and_go_on)


atexit.register(close_all)
