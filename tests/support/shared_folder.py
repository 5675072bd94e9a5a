"""Artifact cache folder of two processes: one replaces the copy constantly, this one reads."""

from __future__ import annotations

import subprocess
import sys
import time

from support.python_process import environment
from targetry.artifacts.disk_cache import DiskCache

LARGEST = 10**6
_WRITER = f"""
import itertools, sys
from targetry.artifacts.disk_cache import DiskCache
cache = DiskCache(sys.argv[1], sys.argv[2], max_bytes={LARGEST}, warn=print)
for turn in itertools.count():
    cache.save(bytes([turn % 256]) * (1000 + turn * 37 % 5000), str(turn), turn)
"""


def read_while_another_writes(cache: DiskCache, url: str, *, reads: int, copies: int, within_s: float) -> int:
    """Check that each copy read is complete; return the number of copies.

    Reads until at least `reads` reads and `copies` different copies.
    """
    command = [sys.executable, "-c", _WRITER, str(cache.path.parent), url]
    seen: set[str | None] = set()
    give_up = time.monotonic() + within_s
    with subprocess.Popen(command, env=environment()) as process:
        while (reads > 0 or len(seen) < copies) and time.monotonic() < give_up:
            if (saved := cache.load()) is None:
                continue  # not there yet, or incomplete, which the cache reports
            turn = int(saved.saved_at)
            assert saved.etag == str(turn)
            assert saved.body == bytes([turn % 256]) * (1000 + turn * 37 % 5000)
            seen.add(saved.etag)
            reads -= 1
        process.kill()
    assert reads <= 0
    return len(seen)
