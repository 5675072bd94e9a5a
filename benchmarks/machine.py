"""The machine of a benchmark, and its load."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path


def cpu() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


class MachineClock:
    """Clock of the machine's load, started at its creation."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._idle = _idle_s()

    def busy(self) -> float:
        """Return the used share of processor time since the start; 0 without /proc/stat."""
        passed = (time.perf_counter() - self._started) * (os.cpu_count() or 1)
        return 0.0 if self._idle is None else 1 - ((_idle_s() or 0.0) - self._idle) / passed


def _idle_s() -> float | None:
    try:
        with open("/proc/stat") as stat:
            fields = stat.readline().split()
    except OSError:
        return None
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")
