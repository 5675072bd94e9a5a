"""Random ids, bytes and numbers, drawn from the operating system at the moment of use.

Nothing random is kept in the process: copies of it (forks, snapshots, cloned virtual machines)
would share it. This is why the generator of the module `random` is not used either.
"""

from __future__ import annotations

import os
import sys
from random import SystemRandom
from typing import Final

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
