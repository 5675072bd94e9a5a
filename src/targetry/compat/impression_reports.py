"""Queue of impressions for `send_notification_func` of a standalone engine."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from targetry._runtime.at_exit import close_at_exit, install_exit_hooks
from targetry._runtime.forks import register_fork_handler
from targetry._runtime.logger import Log
from targetry._runtime.periodic_task import PeriodicTask
from targetry._runtime.rate_limited_log import RateLimitedLog
from targetry._runtime.sync_primitives import WakeupEvent
from targetry.errors import OptionError

_MOST_WAITING: Final = 10_000  # beyond it the newest are dropped


class Reports:
    """Sender that passes impressions to a function one by one, in a thread, as it can wait.

    A function that raises is logged. A forked child starts with an empty queue.
    """

    def __init__(self, function: Callable[[dict[str, Any]], Any] | None) -> None:
        if function is not None and not callable(function):
            raise OptionError("send_notification_func", f"must be callable, not {type(function).__name__}")
        self._function = function
        self._log = RateLimitedLog(Log())
        self._waiting: deque[dict[str, Any]] = deque()
        self._taken = WakeupEvent()
        self._closed = False
        self._worker = PeriodicTask("targetry-reports", self._step)
        register_fork_handler(self)
        close_at_exit(self, Reports.close)

    def __call__(self, impressions: dict[str, Any]) -> None:
        if self._function is None:
            return
        if len(self._waiting) >= _MOST_WAITING:
            self._log.error("full", "send_notification_func does not keep up: impressions are dropped")
            return
        if not self._worker.running:
            install_exit_hooks()
        self._waiting.append(impressions)
        self._worker.schedule(0)

    def close(self, timeout_s: float) -> None:
        """Wait until the queue is empty, at most `timeout_s` seconds. Can be called twice."""
        if self._closed:
            return
        self._closed = True
        deadline = time.monotonic() + timeout_s
        has_thread = not self._waiting or self._worker.schedule(0)  # at exit the interpreter gives none
        while self._waiting and (left := deadline - time.monotonic()) > 0:
            if has_thread:
                self._taken.wait(left)
            else:
                self._pass_to_function(self._waiting.popleft())
        self._worker.close(max(0.0, deadline - time.monotonic()))

    def after_fork(self) -> None:
        self._waiting.clear()
        self._taken = WakeupEvent()
        self._worker.after_fork()

    def _step(self) -> None:
        while self._waiting:
            impressions = self._waiting.popleft()
            self._taken.set()
            self._pass_to_function(impressions)

    def _pass_to_function(self, impressions: dict[str, Any]) -> None:
        assert self._function is not None
        try:
            self._function(impressions)
        except Exception as error:  # it is the caller's, and others are waiting
            self._log.error("function", "send_notification_func failed: %r", error)
