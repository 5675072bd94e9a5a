"""The client's voice: the logger that the user gave, or `adobe.target` (spec/client.md §10).

Any object with `debug` and `error` will do, so this is the one place that knows how to speak to it: a
`logging.Logger` formats its own messages and only when they are wanted; others get a finished text. A logger
that fails is the user's affair and never a call's.
"""

from __future__ import annotations

import logging
from typing import Any, Final

LOGGER_NAME: Final = "adobe.target"


class Log:
    """Speaks to one logger; no method raises."""

    __slots__ = ("_is_standard", "logger")

    def __init__(self, logger: Any = None) -> None:
        self.logger = logging.getLogger(LOGGER_NAME) if logger is None else logger
        self._is_standard = isinstance(self.logger, logging.Logger | logging.LoggerAdapter)

    @property
    def wants_debug(self) -> bool:
        """Whether it is worth preparing a debug message."""
        return bool(self.logger.isEnabledFor(logging.DEBUG)) if self._is_standard else True

    def debug(self, message: str, /, *args: object) -> None:
        self._say("debug", message, args)

    def warning(self, message: str, /, *args: object) -> None:
        """A warning; an error for a logger that knows no warnings."""
        self._say("warning" if hasattr(self.logger, "warning") else "error", message, args)

    def error(self, message: str, /, *args: object) -> None:
        self._say("error", message, args)

    def _say(self, level: str, message: str, args: tuple[object, ...]) -> None:
        try:
            if self._is_standard:
                getattr(self.logger, level)(message, *args, stacklevel=3)
            else:
                getattr(self.logger, level)(message % args if args else message)
        except Exception:  # a broken logger must not break a decision
            pass
