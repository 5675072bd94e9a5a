"""Limit of open files, which bounds the connections of a process."""

from __future__ import annotations

from typing import Final

_OTHER_FILES: Final = 64  # artifacts, ledger, log, listeners, files of threads


def allow_connections(connections: int) -> int:
    """Return how many of the wanted connections the process can open.

    Raises the soft limit of open files where that is allowed.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    except (OSError, ValueError):  # macOS has another limit below the hard one
        allowed = soft
    return max(1, min(connections, allowed - _OTHER_FILES))
