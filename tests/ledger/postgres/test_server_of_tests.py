"""The PostgreSQL server of tests and benchmarks ends with the process that started it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.edge_sockets import wait_until
from support.postgres import program
from support.python_process import environment

SCRIPT = """
import sys
from support.postgres import postgres_server

with postgres_server() as server:
    print(server.pid, server.folder, flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
@pytest.mark.skipif(program("initdb") is None, reason="PostgreSQL is not installed")
def test_server_of_a_killed_process_ends_and_leaves_no_files() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        pid, folder = process.stdout.readline().rstrip().split(maxsplit=1)
        process.kill()
    wait_until(lambda: not Path(f"/proc/{pid}").exists() and not Path(folder).exists())
