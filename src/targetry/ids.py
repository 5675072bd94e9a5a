"""Ids for requests, sessions, visitors and notifications."""

from __future__ import annotations

import os
from typing import Final

from targetry.forks import call_in_children

_DIGITS: Final = 32
_AT_ONCE: Final = 64

# Made many at once: asking the system for each lets go of the interpreter, in the middle of a decision, and whoever runs
# in the background takes it for milliseconds.
_ids: list[str] = []


def new_id() -> str:
    """A random UUID (version 4) with dashes; quicker than by way of `uuid.UUID`, and different after a fork."""
    try:
        return _ids.pop()
    except IndexError:
        return _make()


def _make() -> str:
    """Make many ids; returns one of them and keeps the others."""
    random = os.urandom(_DIGITS // 2 * _AT_ONCE).hex()
    digits = (random[at : at + _DIGITS] for at in range(0, len(random), _DIGITS))
    first, *others = (f"{d[:8]}-{d[8:12]}-4{d[13:16]}-a{d[17:20]}-{d[20:]}" for d in digits)
    _ids.extend(others)
    return first


call_in_children(_ids.clear)
