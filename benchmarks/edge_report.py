"""Report of `edge.py` in Markdown, with the goals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from report import machine, mark, markdown, us

GOALS = {"of_nothing": 0.5, "per_s": 6_000.0, "workers_per_s": 5_000.0, "p99_ms": 10.0, "resident_mib": 120.0}
_MIB = 1024 * 1024 / 1e6


class Server(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def loop(self) -> str: ...
    @property
    def serve(self) -> str: ...
    @property
    def workers(self) -> int: ...
    @property
    def asks(self) -> str: ...
    @property
    def is_recording(self) -> bool: ...


def report(
    found: Mapping[Any, dict[str, Any]],
    steps: dict[str, float],
    connections: int,
    steady: float,
    *,
    are_apart: bool,
) -> str:
    """Return all tables as Markdown; `found` has the figures of each server."""
    first = next(iter(found))
    nothing = {server.loop: measured for server, measured in found.items() if server.serve == "nothing"}
    apart = "Server and clients have a core each." if are_apart else "Server and clients share the cores."
    is_alone = all(server.workers == 1 for server in found)
    workers = " Several workers are not measured, as they would need a core each." if is_alone else ""
    return "\n\n".join(
        (
            "# The edge under load",
            f"Made by `scripts/bench edge` on {machine()}.",
            f"`POST /rest/v1/delivery`, or one flag by OFREP, one mbox of the sample shop, a new visitor for each request, {connections} persistent "
            f"connections per process.\n{apart}{workers} The empty handler runs in uvicorn with httptools, as the edge does; it reads no request "
            "and sends as many bytes.\nThe edge logs each request to a file, as its command does. ✓ and ✗ say whether the "
            "goal is met.",
            _table(found, nothing, steady),
            _flags(found),
            f"## Where a request's time goes, {first.loop}",
            _time_table(found[first], steps),
            _bounds(found, nothing),
        )
    )


def _table(found: Mapping[Any, dict[str, Any]], nothing: dict[str, dict[str, Any]], steady: float) -> str:
    p99, resident = GOALS["p99_ms"], GOALS["resident_mib"]
    table = [
        [
            "",
            "loop",
            f"requests/s (≥ {GOALS['per_s']:,.0f}; with workers ≥ {GOALS['workers_per_s']:,.0f} each)",
            f"of the empty handler's (≥ {GOALS['of_nothing']:.0%}) by processor time, by requests/s",
            "µs of processor time",
            "p50, p99 when flooded",
            f"p50, p99 at {steady:.0%} of it (p99 ≤ {p99:.0f} ms)",
            f"memory of a process (≤ {resident:.0f} MiB)",
        ]
    ]
    for server, measured in found.items():
        is_edge = server.serve != "nothing"
        bare = nothing[server.loop]
        share, of_time = measured["per_s"] / bare["per_s"], bare["cpu_us"] / measured["cpu_us"]
        per_s = GOALS["per_s"] if server.workers == 1 else GOALS["workers_per_s"] * server.workers
        mib = measured["resident_mb"] / _MIB
        easy = measured["steady"]
        table.append(
            [
                server.name,
                server.loop,
                _cell(f"{measured['per_s']:,.0f}", measured["per_s"] >= per_s, is_edge),
                _cell(f"{of_time:.0%}, {share:.0%}", of_time >= GOALS["of_nothing"], is_edge)
                if server.workers == 1
                else "",
                us(measured["cpu_us"]),
                f"{measured['p50_ms']:.1f}, {measured['p99_ms']:.1f} ms",
                _cell(f"{easy['p50_ms']:.1f}, {easy['p99_ms']:.1f} ms", easy["p99_ms"] <= p99, is_edge),
                _cell(f"{mib:.0f} MiB", mib <= resident, is_edge),
            ]
        )
    return markdown(table)


def _flags(found: Mapping[Any, dict[str, Any]]) -> str:
    """Return how the rates of flags compare with those of deliveries, which are to be no higher."""
    rates = {
        (server.asks, server.loop, server.is_recording): measured["per_s"]
        for server, measured in found.items()
        if server.serve != "nothing" and server.workers == 1
    }
    texts = []
    for (asks, loop, is_recording), per_s in rates.items():
        if asks == "flag":
            ratio = per_s / rates["delivery", loop, is_recording]
            recording = ", recording" if is_recording else ""
            texts.append(f"{loop}{recording} {ratio:.2f}× {mark(ratio >= 1)}")
    return f"Rate of flags compared with deliveries (≥ 1×): {'; '.join(texts)}."


def _cell(text: str, met: bool, is_goal: bool) -> str:
    return f"{text} {mark(met)}" if is_goal else text


def _time_table(edge: dict[str, Any], steps: dict[str, float]) -> str:
    others = steps["deliver"] - steps["read"] - steps["decide"]
    return markdown(
        [
            ["", "µs"],
            ["reading and checking query and body", us(steps["read"])],
            ["deciding", us(steps["decide"])],
            ["ids, encoding the response", us(others)],
            [
                "sockets, HTTP, limits, metrics, log, and cache misses",
                us(edge["cpu_us"] - steps["deliver"]),
            ],
            ["together", us(edge["cpu_us"])],
        ]
    )


def _bounds(found: Mapping[Any, dict[str, Any]], nothing: dict[str, dict[str, Any]]) -> str:
    """Return what limited the rates, which shows how reliable the figures are."""
    lines = []
    for server, measured in found.items():
        of_core = measured["per_s"] * measured["cpu_us"] / 1e6
        bound = "the server's processor time" if of_core >= 0.9 * server.workers else "waiting"
        if bound == "waiting" and measured["busy"] >= 0.9:
            bound = "other load of the machine"
        lines.append(
            f"{server.name} ({server.loop}) by {bound} (server {min(of_core, server.workers):.0%}, clients {measured['share']:.0%} of a core)"
        )
    return "Bounded: " + ";\n".join(lines) + "."
