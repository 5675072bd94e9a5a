"""Events that could not be recorded, told to the operator: at once, then at most once a minute, and when it is over (RELIABILITY 9)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from targetry._runtime.rate_limited_log import LogLimiter
from targetry.edge.observability.internal_error import log_internal_error
from targetry.ledger.errors import LedgerError

_KIND: Final = "lost events"


class LostEvents:
    """Not thread-safe: it belongs to the loop of an edge. `clock`: seconds, monotonic."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._limiter = LogLimiter(clock)
        self._untold = self._lost = 0

    def note(self, number: int, error: Exception) -> None:
        """`number` events were lost to this error. What is not the ledger's own to say is told with its traceback."""
        self._lost += number
        self._untold += number
        if self._limiter.admit(_KIND) is None:
            return
        if isinstance(error, LedgerError):
            self._log.error("%d events could not be recorded: %s", self._untold, error)
        else:
            log_internal_error(self._log, "%d events could not be recorded", self._untold, error=error)
        self._untold = 0

    def end(self) -> None:
        """Events are recorded. To be called for each that is; says so when it was otherwise before."""
        if self._lost:
            self._log.warning("events are recorded again; %d were not", self._lost)
            self._limiter.reset(_KIND)
            self._untold = self._lost = 0
