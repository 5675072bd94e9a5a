"""Random ids, bytes and numbers, drawn from the operating system at the moment of use.

Nothing random is kept in the process: copies of it (forks, snapshots, cloned virtual machines)
would share it. This is why the generator of the module `random` is not used either.
"""

from __future__ import annotations

import os
import sys
from binascii import hexlify
from collections.abc import Iterator
from random import SystemRandom
from struct import Struct
from typing import Final

_MOST_DRAWN: Final = 16  # ids at once: more bytes could be cut short by a signal

_parts: Final = Struct("8s4sx3sx3s12s").unpack

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
    return _uuid(hexlify(random_bytes(16)))


def new_ids(count: int) -> Iterator[str]:
    """Return `count` random UUIDs (version 4), cut from few random texts.

    For ids that are used at once: an iterator that is kept would be copied with the process.
    """
    while count > 0:
        drawn = min(count, _MOST_DRAWN)
        count -= drawn
        digits = hexlify(random_bytes(16 * drawn))
        for at in range(0, len(digits), 32):
            yield _uuid(digits[at : at + 32])


def _uuid(digits: bytes) -> str:
    """Return the UUID (version 4) of 32 digits; two of them are replaced."""
    return (b"%b-%b-4%b-a%b-%b" % _parts(digits)).decode()  # faster than slices of a text
