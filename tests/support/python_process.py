"""Environment of a Python process that a test starts: it imports the modules that this process does."""

from __future__ import annotations

import os
import sys


def environment(**more: str) -> dict[str, str]:
    """Return the environment variables of the process."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **more}
