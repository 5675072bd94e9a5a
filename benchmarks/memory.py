"""Memory that a process uses."""

from __future__ import annotations

import gc
import os
import resource
import sys


def resident_mb() -> float:
    """Return the resident memory in MB; on a system without /proc, the maximum so far."""
    gc.collect()
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 1e6 if sys.platform == "darwin" else peak / 1e3
