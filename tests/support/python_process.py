"""Another Python, started by a test: it finds what this one finds."""

from __future__ import annotations

import os
import sys


def environment(**more: str) -> dict[str, str]:
    """The variables to start it with."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **more}
