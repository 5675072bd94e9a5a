"""Log records of unexpected errors, without what their messages may hold of a visitor's request."""

from __future__ import annotations

import logging


class InternalError(Exception):
    """Stands in a traceback for an error whose message is withheld."""


def log_internal_error(log: logging.Logger, message: str, *args: object, error: BaseException) -> None:
    """Log an error with its type and traceback; its own message, which may quote a request, at DEBUG only.

    Args:
        log: the edge's logger.
        message: what happened, with %-placeholders for `args`.
        args: values of the placeholders; none is from a request's content.
        error: the error.
    """
    withheld = InternalError(
        f"{type(error).__name__}; its message is logged at DEBUG, as it may quote a request"
    )
    log.error(message, *args, exc_info=(InternalError, withheld, error.__traceback__))
    log.debug(message, *args, exc_info=error)
