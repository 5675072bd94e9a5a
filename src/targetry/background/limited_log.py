"""A log for work that repeats: what goes wrong every few seconds for a day is told once a minute.

The logger belongs to the user (any object with `debug` and `error`), so whatever it raises stays here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

_QUIET_S = 60.0
_MOST_KINDS = 256  # far more than there are; only a bound


class Log(Protocol):
    """What is asked of a logger. `warning` is used where it has one, `error` otherwise."""

    def debug(self, message: str, /, *args: Any) -> Any: ...

    def error(self, message: str, /, *args: Any) -> Any: ...


class LimitedLog:
    """At most one `error` or `warning` a minute for each kind of trouble; `debug` is not limited."""

    def __init__(self, log: Log, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._told: dict[str, float] = {}
        self.suppressed = 0

    def debug(self, message: str, *args: Any) -> None:
        _write(self._log.debug, message, args)

    def error(self, kind: str, message: str, *args: Any) -> None:
        if self._is_due(kind):
            _write(self._log.error, message, args)

    def warning(self, kind: str, message: str, *args: Any) -> None:
        if self._is_due(kind):
            _write(getattr(self._log, "warning", self._log.error), message, args)

    def _is_due(self, kind: str) -> bool:
        now = self._clock()
        told = self._told.get(kind)
        if told is not None and now - told < _QUIET_S:
            self.suppressed += 1
            return False
        if len(self._told) >= _MOST_KINDS:
            self._told.clear()
        self._told[kind] = now
        return True


def _write(method: Callable[..., Any], message: str, args: tuple[Any, ...]) -> None:
    try:
        method(message, *args)
    except Exception:  # the user's logger; nothing here depends on it
        return
