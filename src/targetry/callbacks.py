"""Calls with a callback: done in the background, exactly one of the two callbacks told (spec/divergences.md D-06)."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .lazy_import import importing
from .logs import Log

if TYPE_CHECKING:
    from multiprocessing.pool import AsyncResult

    from .callback_threads import CallbackThreads

T = TypeVar("T")

_THREADS: Final = 16


class CallbackPool:
    """Runs calls in daemon threads, made at the first call and anew in a forked child."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._pool: CallbackThreads | None = None
        self._pid = os.getpid()

    def submit(
        self,
        call: Callable[[], T],
        callback: Callable[[T], Any],
        err_callback: Callable[[BaseException], Any] | None,
    ) -> AsyncResult[T]:
        """Start `call`; its result goes to `callback` and to the returned `AsyncResult`, its exception to `err_callback`.

        What a callback raises is logged.
        """
        return self._threads().apply_async(self._run, (call, callback, err_callback))

    def close(self) -> None:
        """Let calls under way go on, but take no more. May be called twice."""
        pool, self._pool = self._pool, None
        if pool is not None and self._pid == os.getpid():
            pool.close()

    def _threads(self) -> CallbackThreads:
        if self._pid != os.getpid():  # the parent's threads are not here, and its lock may be held for ever
            self._lock, self._pool, self._pid = threading.Lock(), None, os.getpid()
        with self._lock:
            if self._pool is None:
                with importing():  # 20 ms that few programs need
                    from .callback_threads import CallbackThreads

                self._pool = CallbackThreads(_THREADS)
            return self._pool

    def _run(
        self,
        call: Callable[[], T],
        callback: Callable[[T], Any],
        err_callback: Callable[[BaseException], Any] | None,
    ) -> T:
        try:
            result = call()
        except Exception as error:
            if err_callback is not None:
                self._tell(err_callback, error)
            raise
        self._tell(callback, result)
        return result

    def _tell(self, callback: Callable[[Any], Any], value: object) -> None:
        try:
            callback(value)
        except Exception as error:
            name = getattr(callback, "__qualname__", None) or repr(callback)
            self._log.error("The callback %s failed: %r", name, error)
