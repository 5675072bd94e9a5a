"""Load benchmark: the edge, and its server software with an empty handler, in one run.

    scripts/bench edge

The program prints tables and writes them to benchmarks/RESULTS.md. Server and clients are processes
on 127.0.0.1, each on a separate core if there are two. A run takes a minute or two, and each
command has a time limit.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_report import report
from machine import MachineClock
from report import keep
from running import HERE, Contestant, Progress, Running, fresh

PATIENCE_S = 60.0
CONNECTIONS = 32
MOST_WORKERS = 4
STEADY = 0.7  # share of a server's maximum rate
CLIENTS = Contestant("The clients", [sys.executable, str(HERE / "run_edge_clients.py")])
STAGES = Contestant("The edge's steps", [sys.executable, str(HERE / "run_edge_stages.py")])


@dataclass(frozen=True)
class Plan:
    rounds: int
    windows: int
    seconds: float


FULL = Plan(rounds=3, windows=3, seconds=1.5)
QUICK = Plan(rounds=1, windows=1, seconds=0.7)


@dataclass(frozen=True)
class Server:
    """A measured server; `serve` is `nothing` or `edge`, `asks` is `delivery` or `flag`."""

    name: str
    loop: str
    serve: str
    is_recording: bool = False
    workers: int = 1
    asks: str = "delivery"


class Cores:
    """Cores of the clients (the first) and the servers (the others), if there are two."""

    def __init__(self) -> None:
        usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        self.clients = usable[0] if len(usable) > 1 else None
        self.servers = usable[1:]


class Bench:
    def __init__(self, plan: Plan, folder: Path, progress: Progress) -> None:
        self._plan = plan
        self._folder = folder
        self._progress = progress
        self.cores = Cores()
        self._number = 0

    def measured(self, servers: list[Server]) -> dict[Server, dict[str, Any]]:
        """Return the best figures of each server.

        These are the window with the highest rate, the least processor time, and the lowest p99 at
        a steady rate. Servers are measured in turns, so that other load affects all of them.
        """
        found: dict[Server, list[dict[str, Any]]] = {server: [] for server in servers}
        body_bytes = 0
        for _ in range(self._plan.rounds):
            for server in servers:
                answer = self._once(server, body_bytes)
                if server.asks == "delivery":
                    body_bytes = answer["body_bytes"]
                found[server].append(answer)
        return {server: _best(answers) for server, answers in found.items()}

    def _once(self, server: Server, body_bytes: int) -> dict[str, Any]:
        self._progress(f"{server.name}, {server.loop}")
        with Running(self._contestant(server, body_bytes), PATIENCE_S) as running:
            facts = running.ask({})
            wait_for_all(facts["port"], server)
            connections = CONNECTIONS * server.workers
            command = {
                "port": facts["port"],
                "connections": connections,
                "core": self.cores.clients,
                "asks": server.asks,
            }
            clock, plan = MachineClock(), self._plan
            flood = {"do": "flood", "windows": plan.windows, "seconds": plan.seconds, "warm_up_s": 0.5}
            answer = fresh(CLIENTS, {**command, **flood}, PATIENCE_S)
            busy, after = clock.busy(), running.ask({})
            per_s = max(window["per_s"] for window in answer["windows"])
            steady = {"do": "steady", "rate": STEADY * per_s, "seconds": 2 * plan.seconds}
            at_ease = fresh(CLIENTS, {**command, **steady}, PATIENCE_S)
            end = running.ask({})
        return {
            **max(answer["windows"], key=lambda window: window["per_s"]),
            "cpu_us": (after["cpu_s"] - facts["cpu_s"]) / answer["answered"] * 1e6,
            "body_bytes": answer["body_bytes"],
            "steady": at_ease,
            "resident_mb": end["resident_mb"],
            "busy": busy,
        }

    def _contestant(self, server: Server, body_bytes: int) -> Contestant:
        self._number += 1
        folder = self._folder / str(self._number)
        folder.mkdir()
        command = {
            "serve": server.serve,
            "loop": server.loop,
            "cores": self.cores.servers[: server.workers],
            "workers": server.workers,
            "data": str(folder / "ledger") if server.is_recording else None,
            "log": str(folder / "log"),
            "body_bytes": body_bytes,
        }
        return Contestant(
            server.name, [sys.executable, str(HERE / "run_edge_server.py"), json.dumps(command)]
        )


def wait_for_all(port: int, server: Server) -> None:
    """Wait until all workers serve, as connections to the others would wait."""
    while server.workers > 1:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE_S) as answer:
            if f"targetry_edge_starts_total {server.workers}.0" in answer.read().decode():
                return
        time.sleep(0.1)


def _best(answers: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        **max(answers, key=lambda one: one["per_s"]),
        "cpu_us": min(one["cpu_us"] for one in answers),
        "steady": min((one["steady"] for one in answers), key=lambda one: one["p99_ms"]),
        "resident_mb": max(one["resident_mb"] for one in answers),
        "busy": min(one["busy"] for one in answers),
    }


def servers(cores: int) -> list[Server]:
    """Return the servers, those with the edge's default loop first. Workers need a core each."""
    loops = ["uvloop", "asyncio"] if importlib.util.find_spec("uvloop") else ["asyncio"]
    found = [
        server
        for loop in loops
        for server in (
            Server("the edge", loop, "edge"),
            Server("the edge, recording", loop, "edge", is_recording=True),
            Server("the edge, flags by OFREP", loop, "edge", asks="flag"),
            Server("the edge, flags by OFREP, recording", loop, "edge", is_recording=True, asks="flag"),
            Server("an empty handler", loop, "nothing"),
        )
    ]
    workers = min(cores, MOST_WORKERS)
    if workers > 1:
        found += [
            Server(f"the edge, {workers} workers", loops[0], "edge", workers=workers),
            Server(f"the edge, {workers} workers, recording", loops[0], "edge", True, workers),
        ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a short run that writes no results")
    given = parser.parse_args()
    plan, progress = QUICK if given.quick else FULL, Progress()
    with tempfile.TemporaryDirectory(prefix="targetry-bench-") as folder:
        bench = Bench(plan, Path(folder), progress)
        found = bench.measured(servers(len(bench.cores.servers)))
    progress("the edge's steps")
    steps = fresh(STAGES, {"do": "stages", "seconds": plan.seconds / 2}, PATIENCE_S)
    progress("")
    text = report(found, steps, CONNECTIONS, STEADY, are_apart=bench.cores.clients is not None)
    print(text)
    if not given.quick:
        keep(text)


if __name__ == "__main__":
    main()
