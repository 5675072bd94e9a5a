"""Events that could not be recorded, told to the operator: at once, then at most once a minute, and when it is over (RELIABILITY 9)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from targetry.edge.observability.internal_error import log_internal_error
from targetry.ledger.errors import LedgerError

_QUIET_S: Final = 60.0


class LostEvents:
    """Not thread-safe: it belongs to the loop of an edge. `clock`: seconds, monotonic."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._told_at = float("-inf")
        self._untold = self._lost = 0

    def note(self, number: int, error: Exception) -> None:
        """`number` events were lost to this error. What is not the ledger's own to say is told with its traceback."""
        self._lost += number
        self._untold += number
        now = self._clock()
        if now - self._told_at < _QUIET_S:
            return
        if isinstance(error, LedgerError):
            self._log.error("%d events could not be recorded: %s", self._untold, error)
        else:
            log_internal_error(self._log, "%d events could not be recorded", self._untold, error=error)
        self._told_at, self._untold = now, 0

    def end(self) -> None:
        """Events are recorded. To be called for each that is; says so when it was otherwise before."""
        if self._lost:
            self._log.warning("events are recorded again; %d were not", self._lost)
            self._told_at, self._untold, self._lost = float("-inf"), 0, 0
