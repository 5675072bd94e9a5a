"""Log records of unexpected errors, without their messages, which may quote a request."""

from __future__ import annotations

import logging


class InternalError(Exception):
    """Stands in a traceback for an error whose message is withheld."""


def log_internal_error(log: logging.Logger, message: str, *args: object, error: BaseException) -> None:
    """Log an error with its type and traceback; its own message, which can quote data, at DEBUG.

    Args:
        log: The edge's logger.
        message: Message with %-placeholders for `args`.
        args: Values of the placeholders; none is from a request's content.
        error: The error.
    """
    withheld = InternalError(
        f"{type(error).__name__}; its message is logged at DEBUG, as it may quote a request"
    )
    log.error(message, *args, exc_info=(InternalError, withheld, error.__traceback__))
    log.debug(message, *args, exc_info=error)
