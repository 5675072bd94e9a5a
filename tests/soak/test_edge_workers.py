"""Killed workers as in `tests/edge/test_supervisor.py`, for a minute.

TARGETRY_SOAK=1 pytest tests/soak/test_edge_workers.py -s
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from support.edge_crowd import Crowd, check_ledger, kill, workers_of
from support.edge_process import Lines, address, counted, process
from support.edge_sockets import wait_until

SCALE = int(os.environ.get("TARGETRY_SOAK") or 1)
WORKERS = 3


def test_repeatedly_killed_workers_lose_no_acknowledged_event(tmp_path: Path) -> None:
    """Print the longest pause that a client sees: the time that a worker takes to restart."""
    with process("--data", tmp_path, TARGETRY_EDGE_WORKERS=str(WORKERS), TARGETRY_EDGE_LOG="json") as running:
        url, log = address(running), Lines(running)
        wait_until(lambda: counted(url, "targetry_edge_starts_total") == WORKERS)
        crowd = Crowd(url.removeprefix("http://"), size=8)
        deadline = time.monotonic() + 60 * SCALE
        kills = 0
        while time.monotonic() < deadline:
            kills += 1
            kill(workers_of(running)[0])
            wait_until(lambda: counted(url, "targetry_edge_starts_total") == WORKERS + kills)  # noqa: B023
        crowd.stop()
        assert len(log.having("SIGKILL")) == kills
        running.send_signal(signal.SIGTERM)
        assert running.wait(10) == 0
    sys.stdout.write(
        f"\n{len(crowd.acknowledged):,} acknowledged, {len(crowd.failed)} failed, {kills} kills, slowest {crowd.slowest_s:.2f} s\n"
    )
    assert len(crowd.acknowledged) > kills
    assert len(crowd.failed) <= len(crowd.acknowledged) / 999
    check_ledger(tmp_path, crowd.acknowledged)
