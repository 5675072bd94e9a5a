"""Random ids, bytes and numbers, drawn from the operating system at the moment of use.

Nothing random is kept in the process: copies of it (forks, snapshots, cloned virtual machines)
would share it. This is why the generator of the module `random` is not used either.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from random import SystemRandom
from typing import Final

_MOST_DRAWN: Final = 16  # ids at once: more bytes could be cut short by a signal

system_random: Final = SystemRandom()
uniform: Final = system_random.random
"""Return a random float in [0, 1)."""

if sys.platform == "linux":
    # Unlike os.urandom this keeps the interpreter lock, which a thread in the background might hold
    # for milliseconds.
    _getrandom: Final = os.getrandom
    _NONBLOCK: Final = os.GRND_NONBLOCK

    def random_bytes(size: int) -> bytes:
        """Return `size` random bytes, at most 256."""
        try:
            return _getrandom(size, _NONBLOCK)
        except OSError:  # the pool is not ready yet, or a sandbox forbids the call
            return os.urandom(size)
else:

    def random_bytes(size: int) -> bytes:
        """Return `size` random bytes, at most 256."""
        return os.urandom(size)


def new_id() -> str:
    """Return a random UUID (version 4) with dashes."""
    digits = random_bytes(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def new_ids(count: int) -> Iterator[str]:
    """Return `count` random UUIDs (version 4), cut from few random texts.

    For ids that are used at once: an iterator that is kept would be copied with the process.
    """
    while count > 0:
        drawn = min(count, _MOST_DRAWN)
        count -= drawn
        text = random_bytes(16 * drawn).hex()
        for at in range(0, len(text), 32):
            part = text[at : at + 32]
            yield f"{part[:8]}-{part[8:12]}-4{part[13:16]}-a{part[17:20]}-{part[20:]}"
