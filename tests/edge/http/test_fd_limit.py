from __future__ import annotations

import subprocess
import sys

import pytest

from support.slow import slow
from targetry.edge.http.fd_limit import allow_connections


def room_with(soft: int, hard: int, connections: int) -> list[int]:
    """Return how many connections a process with these limits can open, and its soft limit then."""
    code = (
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "from targetry.edge.http.fd_limit import allow_connections\n"
        f"print(allow_connections({connections}), resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    return [int(word) for word in done.stdout.split()]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit on Windows")
@pytest.mark.parametrize(
    ("soft", "hard", "room", "soft_then"),
    [(100, 500, 100, 164), (50, 50, 1, 50), *slow((500, 500, 100, 500), (100, 120, 56, 120))],
    ids=["can be raised", "hardly any", "enough", "can be raised by a little"],
)
def test_connections_are_limited_by_open_files(soft: int, hard: int, room: int, soft_then: int) -> None:
    assert room_with(soft, hard, 100) == [room, soft_then]


def test_sufficient_limit_is_unchanged() -> None:
    assert allow_connections(1) == 1
