"""A log for work that repeats: what goes wrong every few seconds for a day is told once a minute.

The logger belongs to the user (any object with `debug` and `error`), so whatever it raises stays here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Protocol

_QUIET_S = 60.0
_MOST_KINDS = 256
_OTHER_KINDS = "\0"  # of those that were not known when there were too many


class LogSink(Protocol):
    """What is asked of a logger. `warning` is used where it has one, `error` otherwise."""

    def debug(self, message: str, /, *args: Any) -> Any: ...

    def error(self, message: str, /, *args: Any) -> Any: ...


class RateLimitedLog:
    """At most one `error` or `warning` a minute for each kind of fault; `debug` is not limited.

    A line says how many of its kind were left out since the last one. Kinds beyond a bound share one line a minute.
    """

    def __init__(self, log: LogSink, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._kinds: dict[str, _Kind] = {}
        self.suppressed = 0

    def debug(self, message: str, *args: Any) -> None:
        _write(self._log.debug, message, args)

    def error(self, kind: str, message: str, *args: Any) -> None:
        self._write_if_due(self._log.error, kind, message, args)

    def warning(self, kind: str, message: str, *args: Any) -> None:
        self._write_if_due(getattr(self._log, "warning", self._log.error), kind, message, args)

    def _write_if_due(
        self, method: Callable[..., Any], kind: str, message: str, args: tuple[Any, ...]
    ) -> None:
        now = self._clock()
        known = self._kinds.get(kind)
        if known is None:
            known = self._add(kind, now)
        if now - known.logged_at < _QUIET_S:
            known.left_out += 1
            self.suppressed += 1
            return
        left_out, known.left_out, known.logged_at = known.left_out, 0, now
        if left_out:
            message = message if args else message.replace("%", "%%")
            message, args = f"{message} (%d more like this since the last such line)", (*args, left_out)
        _write(method, message, args)

    def _add(self, kind: str, now: float) -> _Kind:
        if len(self._kinds) >= _MOST_KINDS:
            recent = (
                (name, one) for name, one in self._kinds.copy().items() if now - one.logged_at < _QUIET_S
            )
            self._kinds = dict(recent)
            if len(self._kinds) >= _MOST_KINDS:
                kind = _OTHER_KINDS
        return self._kinds.setdefault(kind, _Kind())


class _Kind:
    """When a kind of fault was logged last, on the clock, and how many were left out since."""

    __slots__ = ("left_out", "logged_at")

    def __init__(self) -> None:
        self.logged_at = -math.inf
        self.left_out = 0


def _write(method: Callable[..., Any], message: str, args: tuple[Any, ...]) -> None:
    try:
        method(message, *args)
    except Exception:  # the user's logger; nothing here depends on it
        return
