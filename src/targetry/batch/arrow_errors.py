"""Reasons of errors of Arrow in plain words."""

from __future__ import annotations

import os


def reason_of(error: Exception) -> str:
    """Return why a file could not be read or written.

    Arrow's texts of errors of the system have temporary paths and the number twice.
    """
    number = getattr(error, "errno", None)
    return os.strerror(number) if isinstance(number, int) else str(error)
