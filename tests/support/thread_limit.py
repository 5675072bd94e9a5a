"""Limit on memory under which no new thread can start."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def refusing_threads() -> Iterator[None]:
    """Limit the process's memory so that no thread can start. Needs Linux."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as stream:
        used = int(stream.read().split()[0]) * resource.getpagesize()
    stack = threading.stack_size(512 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (used + (128 << 20), limits[1]))
    try:
        with contextlib.suppress(RuntimeError):
            threading.Thread(target=int).start()
            raise AssertionError("this system still starts threads")
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
        threading.stack_size(stack)
