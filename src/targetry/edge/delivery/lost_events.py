"""Log lines on events that could not be recorded: at once, then once a minute, and on recovery."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from targetry._runtime.rate_limited_log import LogLimiter
from targetry.edge.observability.internal_error import log_internal_error
from targetry.ledger.errors import LedgerError

_KIND: Final = "lost events"


class LostEventLog:
    """Rate-limited log of lost events, for one event loop. `clock` returns monotonic seconds."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._limiter = LogLimiter(clock)
        self._unlogged = self._lost = 0

    def add(self, number: int, error: Exception) -> None:
        """Count lost events; log errors other than `LedgerError` with their traceback."""
        self._lost += number
        self._unlogged += number
        if self._limiter.admit(_KIND) is None:
            return
        if isinstance(error, LedgerError):
            self._log.error("%d events could not be recorded: %s", self._unlogged, error)
        else:
            log_internal_error(self._log, "%d events could not be recorded", self._unlogged, error=error)
        self._unlogged = 0

    def recovered(self) -> None:
        """Log the end of the losses, if there were any; called after each successful write."""
        if self._lost:
            self._log.warning("events are recorded again; %d were not", self._lost)
            self._limiter.reset(_KIND)
            self._unlogged = self._lost = 0
