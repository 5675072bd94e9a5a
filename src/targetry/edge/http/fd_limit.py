"""How many connections a process can have: each is an open file, and the system bounds those."""

from __future__ import annotations

from typing import Final

_OWN: Final = 64  # artifacts, ledger, log, listening sockets, what a thread opens for a moment


def room_for(connections: int) -> int:
    """So many of the connections as can be had; where the system lets a process raise its limit, it is raised."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OWN
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    except (OSError, ValueError):  # macOS has another limit below the hard one
        allowed = soft
    return max(1, min(connections, allowed - _OWN))
