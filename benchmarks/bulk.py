"""Latency of deliveries while the edge evaluates the flags of 2,000 mboxes again and again.

    scripts/bench bulk

Deliveries come at a steady rate, without the bulk requests and with them in turns. A bulk request
asks OFREP for all flags, and the next one is sent after its response. The program prints a table
and writes it to benchmarks/RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from edge import CLIENTS, CONNECTIONS, PATIENCE_S, Cores
from report import keep, machine, mark, markdown
from running import HERE, Contestant, Progress, Running, fresh
from scenarios import activity, artifact

MBOXES = 2_000
RATE = 500  # deliveries a second
MOST = 2.0  # times the latency without bulk requests


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a short run that writes no results")
    given = parser.parse_args()
    rounds, seconds = (1, 1.0) if given.quick else (3, 3.0)
    with tempfile.TemporaryDirectory(prefix="targetry-bench-") as folder:
        alone, beside, bulk = measured(Path(folder), rounds, seconds)
    text = report(alone, beside, bulk)
    print(text)
    if not given.quick:
        keep(text)


def measured(
    folder: Path, rounds: int, seconds: float
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return the rounds with the lowest p99: without bulk requests, with them, and these."""
    cores, progress = Cores(), Progress()
    rules = folder / "rules.json"
    names = ["hero", *(f"mbox-{number}" for number in range(2, MBOXES + 1))]
    rules.write_text(json.dumps(artifact([activity(n, name) for n, name in enumerate(names, start=1)])))
    command = {
        "serve": "edge",
        "loop": "uvloop",
        "cores": cores.servers[:1],
        "workers": 1,
        "data": None,
        "artifacts": [str(rules)],
        "log": str(folder / "log"),
    }
    server = Contestant("The edge", [sys.executable, str(HERE / "run_edge_server.py"), json.dumps(command)])
    found: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = []
    with Running(server, PATIENCE_S) as running, ThreadPoolExecutor(1) as pool:
        port = running.ask({})["port"]
        steady = {
            "do": "steady",
            "port": port,
            "core": cores.clients,
            "asks": "delivery",
            "connections": CONNECTIONS,
            "rate": RATE,
            "seconds": seconds,
        }
        flood = {
            "do": "flood",
            "port": port,
            "core": cores.clients,
            "asks": "all flags",
            "connections": 1,
            "windows": 1,
            "seconds": seconds + 1,
            "warm_up_s": 0.5,
            "yields": True,  # to the other client on its core, which would measure the wait for this one
        }
        for number in range(rounds):
            progress(f"round {number + 1} of {rounds}")
            alone = fresh(CLIENTS, steady, PATIENCE_S)
            bulk = pool.submit(fresh, CLIENTS, flood, PATIENCE_S)
            beside = fresh(CLIENTS, steady, PATIENCE_S)
            found.append((alone, beside, bulk.result()["windows"][0]))
        progress("")
    alone = min((one for one, _, _ in found), key=_p99)
    beside, bulk_window = min(((two, three) for _, two, three in found), key=lambda pair: _p99(pair[0]))
    return alone, beside, bulk_window


def _p99(window: dict[str, Any]) -> float:
    return float(window["p99_ms"])


def report(alone: dict[str, Any], beside: dict[str, Any], bulk: dict[str, Any]) -> str:
    """Return the table as Markdown."""
    ratio = _p99(beside) / _p99(alone)
    table = [
        [
            "deliveries",
            "deliveries/s",
            "p50, p99",
            f"p99, compared with the first row (≤ {MOST:.0f}×)",
            "bulk requests/s",
        ],
        ["without bulk requests", *_figures(alone), "", ""],
        [
            "with bulk requests",
            *_figures(beside),
            f"{ratio:.2f}× {mark(ratio <= MOST)}",
            f"{bulk['per_s']:.0f}",
        ],
    ]
    return "\n\n".join(
        (
            "# Deliveries during bulk evaluations",
            f"Made by `scripts/bench bulk` on {machine()}.",
            f"One process of the edge, uvloop, an artifact of {MBOXES:,} mboxes. Deliveries of one mbox are sent at {RATE:,}/s; a latency counts "
            "from the time at which\na request was due. One bulk request after the other evaluates the flags of all mboxes, in a thread of the same "
            "process.\nTheir client runs only while that of the deliveries, on the same core, has nothing to do. Each row is the round with the lowest p99.",
            markdown(table),
        )
    )


def _figures(window: dict[str, Any]) -> list[str]:
    return [f"{window['per_s']:,.0f}", f"{window['p50_ms']:.1f}, {window['p99_ms']:.1f} ms"]


if __name__ == "__main__":
    main()
