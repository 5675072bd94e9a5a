"""Clients of an edge whose processes are killed.

Each client repeats a request after a connection error, as an SDK or a load balancer does.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from support.edge import QUERY
from support.edge_process import shown
from support.edge_sockets import PATIENCE_S, wait_until
from targetry.ledger.ledger import Ledger


def workers_of(running: subprocess.Popen[str]) -> list[int]:
    """Return the worker processes, without the resource tracker of multiprocessing."""
    found = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    return [int(pid) for pid in found if _serves(int(pid))]


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


class Crowd:
    """Threads that send notifications over kept connections until `stop`."""

    def __init__(self, host: str, size: int = 4) -> None:
        self.acknowledged: list[str] = []
        self.failed: list[str] = []
        self.slowest_s = 0.0
        self._host = host
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(name,)) for name in "abcdefgh"[:size]]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _work(self, name: str) -> None:
        connection = http.client.HTTPConnection(self._host, timeout=PATIENCE_S)
        number = 0
        while not self._ends.wait(0.002):
            number += 1
            started = time.monotonic()
            is_known = self._is_acknowledged(connection, f"{name}-{number}")
            (self.acknowledged if is_known else self.failed).append(f"{name}-{number}")
            self.slowest_s = max(self.slowest_s, time.monotonic() - started)
        connection.close()

    def _is_acknowledged(self, connection: http.client.HTTPConnection, visitor: str) -> bool:
        for _ in range(3):
            with suppress(OSError, http.client.HTTPException):
                connection.request("POST", f"/rest/v1/delivery?{QUERY}", json.dumps(shown(visitor)))
                answer = connection.getresponse()
                answer.read()
                return answer.status == 200
            connection.close()
        return False


def wait_for_more(crowds: Sequence[Crowd]) -> None:
    """Wait until each crowd has ten more acknowledged events."""
    until = [len(one.acknowledged) + 10 for one in crowds]
    wait_until(lambda: all(len(one.acknowledged) >= n for one, n in zip(crowds, until, strict=True)))


def check_ledger(folder: Path, acknowledged: list[str]) -> None:
    """Check that the ledger has each acknowledged event once, and that no file was set aside."""
    warnings: list[str] = []
    with Ledger.open(folder, warn=warnings.append) as ledger:
        kept = Counter(event.visitor for event in ledger.events())
    assert warnings == []
    assert {visitor for visitor in acknowledged if kept[visitor] != 1} == set()


def _serves(pid: int) -> bool:
    with suppress(OSError):
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False
