"""Rate-limited log: at most one line a minute for each kind of fault."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Protocol

_INTERVAL_S = 60.0
_MAX_KINDS = 256
_OTHER_KINDS = "\0"  # shared by the kinds beyond the limit


class LogSink(Protocol):
    """Methods that a logger must have; `warning` is used if there is one."""

    def debug(self, message: str, /, *args: Any) -> Any: ...

    def error(self, message: str, /, *args: Any) -> Any: ...


class LogLimiter:
    """Limiter of log lines: of each kind, one is due at once and then one a minute.

    Args:
        clock: Monotonic time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kinds: dict[str, _Kind] = {}
        self.suppressed = 0

    def admit(self, kind: str) -> int | None:
        """Return the number of lines suppressed since the last one, None if this one is too."""
        now = self._clock()
        known = self._kinds.get(kind)
        if known is None:
            known = self._add(kind, now)
        if now - known.logged_at < _INTERVAL_S:
            known.suppressed += 1
            self.suppressed += 1
            return None
        suppressed, known.suppressed, known.logged_at = known.suppressed, 0, now
        return suppressed

    def reset(self, kind: str) -> None:
        """Make the next line of the kind due at once."""
        self._kinds.pop(kind, None)

    def _add(self, kind: str, now: float) -> _Kind:
        if len(self._kinds) >= _MAX_KINDS:
            recent = (
                (name, one) for name, one in self._kinds.copy().items() if now - one.logged_at < _INTERVAL_S
            )
            self._kinds = dict(recent)
            if len(self._kinds) >= _MAX_KINDS:
                kind = _OTHER_KINDS
        return self._kinds.setdefault(kind, _Kind())


class RateLimitedLog:
    """Log of at most one error or warning a minute for each kind of fault.

    A line reports how many of its kind were suppressed since the last one. The logger belongs to
    the user, so an exception that it raises is ignored.

    Args:
        log: The logger.
        clock: Monotonic time in seconds.
    """

    def __init__(self, log: LogSink, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._limiter = LogLimiter(clock)

    @property
    def suppressed(self) -> int:
        """Number of lines that were not logged."""
        return self._limiter.suppressed

    def debug(self, message: str, *args: Any) -> None:
        """Log a line that is not limited."""
        _write(self._log.debug, message, args)

    def error(self, kind: str, message: str, *args: Any) -> None:
        """Log an error unless one of its kind was logged within a minute."""
        self._write_if_due(self._log.error, kind, message, args)

    def warning(self, kind: str, message: str, *args: Any) -> None:
        """Log a warning unless a line of its kind was logged within a minute."""
        self._write_if_due(getattr(self._log, "warning", self._log.error), kind, message, args)

    def _write_if_due(
        self, method: Callable[..., Any], kind: str, message: str, args: tuple[Any, ...]
    ) -> None:
        suppressed = self._limiter.admit(kind)
        if suppressed is None:
            return
        if suppressed:
            message = message if args else message.replace("%", "%%")
            message, args = f"{message} (%d more like this since the last such line)", (*args, suppressed)
        _write(method, message, args)


class _Kind:
    __slots__ = ("logged_at", "suppressed")

    def __init__(self) -> None:
        self.logged_at = -math.inf
        self.suppressed = 0


def _write(method: Callable[..., Any], message: str, args: tuple[Any, ...]) -> None:
    try:
        method(message, *args)
    except Exception:  # of the user's logger
        return
