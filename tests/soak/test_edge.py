"""Scenarios of `tests/edge` with malformed requests and killed processes at a large scale.

TARGETRY_SOAK=1 pytest tests/soak/test_edge.py -s        # some 56,000 requests, some minutes
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from differential.suites import SUITES
from support.edge_process import Lines, address, post, process, shown
from support.faulty_http import check_answers
from support.openapi import DESCRIPTION, Prober, cases, mutant
from targetry.edge.in_process import edge
from targetry.edge.server import listen
from targetry.ledger.ledger import Ledger
from targetry.samples import shop

SCALE = int(os.environ.get("TARGETRY_SOAK") or 1)


def artifact(name: str) -> dict[str, Any]:
    """Return the sample shop, or an artifact of the suites that Adobe's SDKs share."""
    if name == "shop":
        return shop()
    path = SUITES / "artifacts" / f"{name}.json"
    if not path.is_file():
        pytest.skip("the suites are not next to the checkout")
    loaded: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return loaded


@pytest.mark.skipif(not DESCRIPTION.is_file(), reason="the API's description is not next to the checkout")
@pytest.mark.parametrize("name", ["shop", "TEST_ARTIFACT_PARAMS"])
def test_each_response_conforms_to_the_openapi_document(name: str, tmp_path: Path) -> None:
    document = artifact(name)
    mboxes = sorted(document["rules"]["mboxes"])
    with Ledger.open(tmp_path) as ledger, edge(document, ledger=ledger) as here, Prober(here.url) as prober:

        @settings(max_examples=3_000 * SCALE, suppress_health_check=list(HealthCheck))
        @given(cases(mboxes))
        def run(case: Any) -> None:
            prober.case(case)

        run()
        sys.stdout.write(f"\n{name}, cases: {prober}\n")
        for seed in range(25_000 * SCALE):
            prober.mutant(mutant(seed, mboxes))
        sys.stdout.write(f"{name}, and mutants: {prober}; {sum(1 for _ in ledger.events()):,} events\n")


def test_malformed_http_gets_a_response_or_a_disconnect() -> None:
    with edge() as here:
        good = check_answers(here.host, range(10_000 * SCALE))
    sys.stdout.write(f"\n{good:,} valid requests among the malformed ones\n")


class Balancer:
    """A client of three edges with one ledger, one of which is killed repeatedly.

    It sends a request to the next edge if one fails.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turns = itertools.count()
        self.ready_s: list[float] = []
        with ExitStack() as taken:
            listeners = [taken.enter_context(listen("127.0.0.1", 0)) for _ in range(3)]
            self.ports = [listener.getsockname()[1] for listener in listeners]
        self._stacks = [ExitStack() for _ in self.ports]
        self._running = [self._start(number) for number in range(3)]

    def _start(self, number: int) -> subprocess.Popen[str]:
        started = time.monotonic()
        port = {"TARGETRY_EDGE_PORT": str(self.ports[number])}
        running = self._stacks[number].enter_context(
            process("--data", self._folder, TARGETRY_EDGE_LOG="json", **port)
        )
        address(running)
        Lines(running)
        self.ready_s.append(time.monotonic() - started)
        return running

    def kill(self, number: int) -> None:
        self._running[number].kill()
        self._stacks[number].close()
        self._running[number] = self._start(number)

    def post(self, document: Any) -> int:
        """Return the status, or 0 if no edge responds."""
        for _ in range(3):
            port = self.ports[next(self._turns) % 3]
            with suppress(OSError, http.client.HTTPException):
                return post(f"http://127.0.0.1:{port}", document)
        return 0

    def close(self) -> None:
        for stack in self._stacks:
            stack.close()


def test_repeatedly_killed_edges_lose_no_acknowledged_event(tmp_path: Path) -> None:
    """Check also that 99.9 % of the clients' requests succeed."""
    balancer = Balancer(tmp_path)
    acknowledged: list[str] = []
    failed: list[int] = []
    deadline = time.monotonic() + 60 * SCALE

    def work(client: int) -> None:
        number = 0
        while time.monotonic() < deadline:
            number += 1
            status = balancer.post(shown(f"{client}-{number}"))
            if status == 200:
                acknowledged.append(f"{client}-{number}")
            else:
                failed.append(status)
            time.sleep(0.005)

    clients = [threading.Thread(target=work, args=(client,)) for client in range(4)]
    try:
        for client in clients:
            client.start()
        for number in itertools.cycle(range(3)):
            if time.monotonic() >= deadline:
                break
            balancer.kill(number)
            time.sleep(1)
    finally:
        for client in clients:
            client.join()
        balancer.close()
    with Ledger.open(tmp_path, warn=pytest.fail) as ledger:
        kept = [event.visitor for event in ledger.events()]
    slowest = max(balancer.ready_s)
    sys.stdout.write(
        f"\n{len(acknowledged):,} acknowledged, failed {failed}, {len(balancer.ready_s) - 3} kills, ready after at most {slowest:.2f} s\n"
    )
    assert len(kept) == len(set(kept))
    assert set(acknowledged) <= set(kept)
    assert len(failed) <= len(acknowledged) / 999
