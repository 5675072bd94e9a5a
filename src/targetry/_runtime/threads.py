"""Starting of daemon threads that the system may refuse."""

from __future__ import annotations

import threading
from collections.abc import Callable

# Of the whole process, as is the limit that makes the system refuse one.
_refused = 0


def start_daemon_thread(
    name: str, target: Callable[..., object], *arguments: object
) -> threading.Thread | None:
    """Start a daemon thread that calls `target(*arguments)`.

    Return None if the system gives no thread: a limit is reached, or the interpreter is ending. The caller tries again
    at its next occasion.
    """
    global _refused
    try:
        thread = threading.Thread(target=target, args=arguments, name=name, daemon=True)
        thread.start()
    except (RuntimeError, MemoryError):
        _refused += 1
        return None
    return thread


def refused_threads() -> int:
    """Return how many threads the system has refused to Targetry in this process."""
    return _refused
