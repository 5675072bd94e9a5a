"""Environment of a Python child process, with the import path of this process."""

from __future__ import annotations

import os
import sys


def environment(**more: str) -> dict[str, str]:
    """Return the environment variables of the process."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **more}
