"""Benchmark of calls over HTTP: Targetry, its bare transport, and Adobe's Python SDK in one run.

    scripts/bench wire

The program prints tables and writes them to benchmarks/RESULTS.md. The server and each contestant
are processes on 127.0.0.1. A run takes two minutes, and each command has a time limit.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from statistics import median
from typing import Any

from machine import MachineClock
from report import keep
from running import HERE, OFFICIAL_PYTHON, Contestant, Progress, Running, fresh
from wire_report import GOALS, Load, report

PATIENCE_S = 60.0  # time limit of a command, which takes a few seconds
SERVER = Contestant("The server", [sys.executable, str(HERE / "run_wire_server.py")])
TARGETRY = Contestant("Targetry", [sys.executable, str(HERE / "run_wire.py")])
ON_DEVICE = Contestant("Targetry on device", [sys.executable, str(HERE / "run_wire_device.py")])
SOCKETS = Contestant("Sockets", [sys.executable, str(HERE / "run_wire_sockets.py")])
OFFICIAL = Contestant("Python 1.1.0", [str(OFFICIAL_PYTHON), str(HERE / "run_wire_official.py")])


@dataclass(frozen=True)
class Plan:
    """Extent of the measurement: `rounds` and `seconds` of each."""

    rounds: int
    seconds: float
    windows: int
    bursts: int
    step_s: float
    offers: int


FULL = Plan(rounds=3, seconds=3.0, windows=2, bursts=60, step_s=1.5, offers=50_000)
QUICK = Plan(rounds=1, seconds=0.5, windows=1, bursts=20, step_s=0.5, offers=5_000)


class Bench:
    """The server, and commands to contestants that use it."""

    def __init__(self, server: Running, plan: Plan, progress: Progress) -> None:
        self._server = server
        self._progress = progress
        self.plan = plan
        self.facts = server.ask({})

    def ask(self, contestant: Contestant, do: str, *, slow: bool = False, **more: Any) -> dict[str, Any]:
        """Return the result of a new process; `server` has the server's counts."""
        self._progress(f"{contestant.name}: {do.replace('_', ' ')}")
        port = self.facts["slow_port" if slow else "port"]
        before, clock = self._server.ask({}), MachineClock()
        command = {"do": do, "port": port, "answer_bytes": self.facts["answer_bytes"], **more}
        answer = fresh(contestant, command, PATIENCE_S)
        busy, after = clock.busy(), self._server.ask({})
        counted = {name: after[name] - before[name] for name in ("connections", "requests", "cpu_s")}
        counted["cpu_us"] = counted["cpu_s"] / max(1, counted["requests"]) * 1e6
        received = after["notifications"] - before["notifications"]
        if "ledger" in answer and answer["ledger"]["sent"] != received:
            raise RuntimeError(f"{do}: the client counted {answer['ledger']}, the server received {received}")
        return {**answer, "server": counted, "busy": busy}

    def ask_often(self, contestant: Contestant, do: str, **more: Any) -> list[dict[str, Any]]:
        return [self.ask(contestant, do, **more) for _ in range(self.plan.rounds)]


# ── one after the other ───


def one_after_the_other(bench: Bench) -> dict[str, dict[str, Any]]:
    """Return the timing of each contestant; rounds take turns, so that load affects all of them."""
    plan, rounds = bench.plan, []
    official = OFFICIAL_PYTHON.exists()
    for _ in range(plan.rounds):
        ours = bench.ask(TARGETRY, "sequential", size=200, seconds=plan.seconds)
        sockets = bench.ask(SOCKETS, "bare_socket", size=1000, seconds=plan.seconds / 6)
        theirs = bench.ask(OFFICIAL, "sequential", size=50, seconds=plan.seconds) if official else None
        if theirs is not None and theirs["content"] != ours["content"]:
            raise RuntimeError("Python 1.1.0 reads another offer from the answer than Targetry")
        rounds.append(
            {
                "Targetry": _timed(ours, "get_offers"),
                "bare transport": _timed(ours, "transport"),
                **({"Python 1.1.0": _timed(theirs, "get_offers")} if theirs is not None else {}),
                "bare socket": _timed(sockets, "socket"),
            }
        )
    return {name: _best([one[name] for one in rounds]) for name in rounds[0]}


def _timed(answer: dict[str, Any], name: str) -> dict[str, Any]:
    server = answer["server"]
    return {**answer["timings"][name], "connections": server["connections"], "requests": server["requests"]}


def _best(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the best batch, the median of medians, and the largest number of connections."""
    return {
        **max(rounds, key=lambda one: one["connections"]),
        "best_us": min(one["best_us"] for one in rounds),
        "median_us": median(one["median_us"] for one in rounds),
        "ratio": median(one["ratio"] for one in rounds),
    }


# ── asyncio ───


LOADS = [
    Load("100 callers", 100, 100, goal_per_s=GOALS["per_s"]),
    Load("100 callers, bare transport", 100, 100, bare=True),
    Load("1,000 callers, 50 ms, 100 connections (the default)", 1000, 100, slow=True),
    Load("1,000 callers, 50 ms, 1,000 connections", 1000, 1000, slow=True),
    Load("1,000 callers, 50 ms, 1,000 connections, bare transport", 1000, 1000, slow=True, bare=True),
]


def at_once(bench: Bench) -> list[tuple[Load, dict[str, float]]]:
    """Return the best window of each load: by rate, and by the least processor time and lag."""
    return [(load, _best_window(bench, load)) for load in LOADS]


def _best_window(bench: Bench, load: Load) -> dict[str, float]:
    answers = [
        bench.ask(
            TARGETRY,
            "concurrent",
            slow=load.slow,
            tasks=load.tasks,
            connections=load.connections,
            bare=load.bare,
            windows=bench.plan.windows,
            seconds=max(0.5, bench.plan.seconds / 3),
            warm_up_s=1.0 if load.slow else 0.3,
        )
        for _ in range(max(1, bench.plan.rounds - 1))
    ]
    windows = [window for answer in answers for window in answer["windows"]]
    return {
        **max(windows, key=lambda window: window["per_s"]),
        "cpu_us": min(window["cpu_us"] for window in windows),
        "lag_p99_ms": min(window["lag_p99_ms"] for window in windows),
        "server_us": min(answer["server"]["cpu_us"] for answer in answers),
        "busy": min(answer["busy"] for answer in answers),
    }


def next_to_aiohttp(bench: Bench) -> dict[str, Any]:
    """Return the round with the median ratio of `get_offers` to aiohttp, 100 callers each."""
    rounds = bench.ask_often(TARGETRY, "next_to_aiohttp", tasks=100, size=300, seconds=bench.plan.seconds)
    return sorted(rounds, key=lambda one: one["ratio"])[len(rounds) // 2]


# ── impressions of on-device decisions ───


def impressions(bench: Bench) -> dict[str, Any]:
    """Measure the cost of reports for a caller, their highest rate, and overload."""
    plan = bench.plan
    drained = bench.ask_often(ON_DEVICE, "drain", count=int(1_000 * plan.seconds), seconds=15)
    drained_slow = [bench.ask(ON_DEVICE, "drain", slow=True, count=int(200 * plan.seconds), seconds=15)]
    best, best_slow = (max(found, key=lambda one: one["per_s"]) for found in (drained, drained_slow))
    found: dict[str, Any] = {
        "added": [
            bench.ask(ON_DEVICE, "added", bursts=plan.bursts, size=20, pause_s=0.02)
            for _ in range(2 * plan.rounds - 1)
        ],
        "drained": best,
        "drained_slow": best_slow,
        "steps": _steps(bench, best["per_s"], plan.step_s, tries=2),
        "steps_slow": _steps(bench, best_slow["per_s"], 2 * plan.step_s, slow=True),
        "bursts": bench.ask_often(ON_DEVICE, "burst", decisions=int(plan.offers * 0.4), offers=plan.offers),
    }
    lists = (drained, drained_slow, found["added"], found["steps"], found["steps_slow"], found["bursts"])
    found["ledger"] = _added_up([one for answers in lists for one in answers])
    return found


def _steps(
    bench: Bench, from_per_s: float, seconds: float, *, slow: bool = False, tries: int = 1
) -> list[dict[str, Any]]:
    """Try tenths of a rate downwards, until one is sustained."""
    steps: list[dict[str, Any]] = []
    for tenths in range(10, 0, -1):
        rate = round(from_per_s * tenths / 10)
        for _ in range(tries):
            step = bench.ask(ON_DEVICE, "steady", slow=slow, rate=rate, seconds=seconds)
            steps.append({**step, "tenths": tenths, "can_go_on": _can_go_on(step, rate)})
            if steps[-1]["can_go_on"]:
                return steps
    return steps


def _can_go_on(step: dict[str, Any], rate: float) -> bool:
    """Return whether all decisions were in time, none was dropped, and the queue hardly grew."""
    in_the_middle, at_the_end = step["pending"]
    in_time = step["per_s"] >= 0.95 * rate
    return bool(
        in_time and not step["ledger"]["dropped"] and at_the_end - in_the_middle <= step["made"] / 100 + 5
    )


def _added_up(answers: list[dict[str, Any]]) -> dict[str, Any]:
    ledgers = [answer["ledger"] for answer in answers]
    dropped: dict[str, int] = {}
    for ledger in ledgers:
        for reason, count in ledger["dropped"].items():
            dropped[reason] = dropped.get(reason, 0) + count
    return {
        "accepted": sum(ledger["accepted"] for ledger in ledgers),
        "sent": sum(ledger["sent"] for ledger in ledgers),
        "dropped": dropped,
        "readings": sum(answer["readings"] for answer in answers),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a short run that writes no results")
    given = parser.parse_args()
    progress = Progress()
    with Running(SERVER, PATIENCE_S) as server:
        bench = Bench(server, QUICK if given.quick else FULL, progress)
        alone = max(
            bench.ask_often(SOCKETS, "flood", tasks=32, seconds=bench.plan.seconds / 3),
            key=lambda one: one["per_s"],
        )
        text = report(
            bench.facts,
            alone,
            one_after_the_other(bench),
            at_once(bench),
            next_to_aiohttp(bench),
            impressions(bench),
        )
    progress("")
    print(text)
    if not given.quick:
        keep(text)


if __name__ == "__main__":
    main()
