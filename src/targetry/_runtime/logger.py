"""Log of a client: the logger in its options, or `adobe.target`.

A logger is any object with `debug` and `error`. A `logging.Logger` formats messages, and only those
that are enabled; other loggers receive a finished text. An exception of a logger is ignored.
"""

from __future__ import annotations

import logging
from typing import Any, Final

LOGGER_NAME: Final = "adobe.target"


class Log:
    """Log to one logger; no method raises."""

    __slots__ = ("_is_standard", "logger")

    def __init__(self, logger: Any = None) -> None:
        self.logger = logging.getLogger(LOGGER_NAME) if logger is None else logger
        self._is_standard = isinstance(self.logger, logging.Logger | logging.LoggerAdapter)

    @property
    def wants_debug(self) -> bool:
        """Whether debug messages are enabled."""
        return bool(self.logger.isEnabledFor(logging.DEBUG)) if self._is_standard else True

    def debug(self, message: str, /, *args: object) -> None:
        """Log a debug message."""
        self._log("debug", message, args)

    def warning(self, message: str, /, *args: object) -> None:
        """Log a warning, or an error if the logger has no warnings."""
        self._log("warning" if hasattr(self.logger, "warning") else "error", message, args)

    def error(self, message: str, /, *args: object) -> None:
        """Log an error."""
        self._log("error", message, args)

    def _log(self, level: str, message: str, args: tuple[object, ...]) -> None:
        try:
            if self._is_standard:
                getattr(self.logger, level)(message, *args, stacklevel=3)
            else:
                getattr(self.logger, level)(message % args if args else message)
        except Exception:  # a broken logger must not break a decision
            pass
