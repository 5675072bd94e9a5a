"""Ids for requests, sessions, visitors and notifications."""

from __future__ import annotations

import os
from typing import Final

_BYTES: Final = 16
_AT_ONCE: Final = 64

# Random digits for the next ids. Asking the system for each id lets go of the interpreter, in the middle of a
# decision, and whoever runs in the background takes it for milliseconds.
_digits: list[str] = []


def new_id() -> str:
    """A random UUID (version 4) with dashes; quicker than by way of `uuid.UUID`, and different after a fork."""
    try:
        digits = _digits.pop()
    except IndexError:
        digits = _fetch()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def _fetch() -> str:
    """Take in digits for many ids; returns those of one."""
    fetched = os.urandom(_BYTES * _AT_ONCE).hex()
    first, *others = (fetched[at : at + 2 * _BYTES] for at in range(0, len(fetched), 2 * _BYTES))
    _digits.extend(others)
    return first


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_digits.clear)
