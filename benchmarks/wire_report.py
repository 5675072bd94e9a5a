"""Report of `wire.py` in Markdown, with the goals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from report import machine, mark, markdown, us

TOUGH_QUEUE_RATE = 100  # impressions a millisecond
GOALS = {
    "times_bare": 1.3,
    "over_bare_us": 100.0,
    "times_less": 2.5,
    "per_s": 3_000.0,
    "times_aiohttp": 1.7,
    "ideal": 0.9,
    "lag_ms": 10.0,
    "added_us": 10.0,
    "burst_p99_us": 20.0,
}


@dataclass(frozen=True)
class Load:
    """Callers on one event loop that ask without pause."""

    name: str
    tasks: int
    connections: int
    slow: bool = False
    bare: bool = False
    goal_per_s: float | None = None

    def ideal_per_s(self, slow_s: float) -> float | None:
        """Return the rate if everything but the upstream took no time."""
        return min(self.tasks, self.connections) / slow_s if self.slow else None


def report(
    facts: dict[str, Any],
    alone: dict[str, Any],
    timings: dict[str, dict[str, Any]],
    loads: list[tuple[Load, dict[str, float]]],
    aiohttp: dict[str, Any],
    found: dict[str, Any],
) -> str:
    """Return all tables as Markdown."""
    return "\n\n".join(
        (
            "# Calls over the wire",
            f"Made by `scripts/bench wire` on {machine()}.",
            f"{_server(facts, alone)} Processor time is that of the client's process, both user's and system's.\n"
            "✓ and ✗ say whether the goal is met.",
            "## Server-side `get_offers`, one after the other",
            "Microseconds of processor time of one call: the best batch, and the median batch in parentheses. The bare transport sends\n"
            "the same bytes over the same connection, in turns with the calls; the ratio is the median over all turns.\n"
            "The bare socket does not parse the response.",
            _sequential_table(timings),
            "## asyncio, one event loop",
            "The best of several windows. Lag is the delay of a timer of 2 ms. The calls of a core are computed from the processor time\n"
            "of one call; the ideal is the number of callers with a connection divided by the upstream's 50 ms.",
            _load_table(loads, facts["slow_s"]),
            "100 callers again, in turns with 100 callers of aiohttp that send the same bytes and read the response undecoded: the best\n"
            "batch of each; the ratio is the median over all turns.",
            _aiohttp_table(aiohttp),
            "## On-device `execute`, with impressions sent",
            _impression_table(found),
            _ledger(found["ledger"]),
        )
    )


def _server(facts: dict[str, Any], alone: dict[str, Any]) -> str:
    server = alone["server"]["cpu_us"]
    return (
        f"The server sends {facts['answer_bytes']} bytes over persistent connections. Plain sockets that do not parse get "
        f"{alone['per_s']:,.0f} responses/s,\nof {server:.1f} µs of its processor time each."
    )


def _sequential_table(timings: dict[str, dict[str, Any]]) -> str:
    ours, bare, theirs = timings["Targetry"], timings["bare transport"], timings.get("Python 1.1.0")
    table = [["", "goal", *timings]]
    cells = [f"{us(one['best_us'])} ({us(one['median_us'])})" for one in timings.values()]
    table.append(["µs of processor time", "", *cells])
    times, over = ours["ratio"], ours["best_us"] - bare["best_us"]
    row = _row_maker(timings)
    table.append(
        row(
            "ratio to the bare transport",
            f"≤ {GOALS['times_bare']}×",
            times <= GOALS["times_bare"],
            f"{times:.3f}×",
        )
    )
    table.append(
        row("added to it, µs", f"≤ {GOALS['over_bare_us']:.0f}", over <= GOALS["over_bare_us"], us(over))
    )
    if theirs is not None:
        less = theirs["best_us"] / ours["best_us"]
        table.append(
            row(
                "less than Python 1.1.0",
                f"≥ {GOALS['times_less']}×",
                less >= GOALS["times_less"],
                f"{less:.1f}×",
            )
        )
    met = mark(ours["connections"] == 1)
    connections = [f"{one['connections']:,} for {one['requests']:,}" for one in timings.values()]
    table.append(["TCP connections", f"1 {met}", *connections])
    return markdown(table)


def _row_maker(timings: dict[str, Any]) -> Callable[[str, str, bool, str], list[str]]:
    empty = [""] * (len(timings) - 1)
    return lambda name, goal, met, cell: [name, f"{goal} {mark(met)}", cell, *empty]


def _load_table(loads: list[tuple[Load, dict[str, float]]], slow_s: float) -> str:
    table = [
        [
            "",
            "goal",
            "calls/s",
            "of the ideal",
            "µs of processor time",
            "a core's calls/s",
            "lag p99",
            "bounded by",
        ]
    ]
    for load, window in loads:
        ideal = load.ideal_per_s(slow_s)
        share = None if ideal is None else window["per_s"] / ideal
        table.append(
            [
                load.name,
                _load_goals(load, window, share),
                f"{window['per_s']:,.0f}",
                "" if ideal is None else f"{share:.0%} of {ideal:,.0f}",
                us(window["cpu_us"]),
                f"{1e6 / window['cpu_us']:,.0f}",
                f"{window['lag_p99_ms']:.1f} ms",
                _bound(window, ideal),
            ]
        )
    return markdown(table)


def _aiohttp_table(aiohttp: dict[str, Any]) -> str:
    goal, ratio = GOALS["times_aiohttp"], aiohttp["ratio"]
    ours, theirs = aiohttp["us"]["get_offers"], aiohttp["us"]["aiohttp"]
    return markdown(
        [
            ["", "goal", "AsyncTargetClient", "aiohttp"],
            ["µs of processor time", "", us(ours), us(theirs)],
            ["ratio to aiohttp", f"≤ {goal}× {mark(ratio <= goal)}", f"{ratio:.2f}×", ""],
        ]
    )


def _load_goals(load: Load, window: dict[str, float], share: float | None) -> str:
    if load.bare:
        return ""
    if share is not None:
        return (
            f"≥ {GOALS['ideal']:.0%} {mark(share >= GOALS['ideal'])}, "
            f"lag ≤ {GOALS['lag_ms']:.0f} ms {mark(window['lag_p99_ms'] <= GOALS['lag_ms'])}"
        )
    goal = load.goal_per_s
    return "" if goal is None else f"≥ {goal:,.0f}/s {mark(window['per_s'] >= goal)}"


def _impression_table(found: dict[str, Any]) -> str:
    # The median round: rounds differ by whether sender and caller run on one core or on two.
    rounds = sorted(found["added"], key=_added_us)
    middle, added = rounds[len(rounds) // 2], [_added_us(one) for one in rounds]
    typical = _added_us(middle)
    deciding = min((one["deciding"] for one in found["bursts"]), key=lambda one: one["p99_us"])
    offering = min((one["offering"] for one in found["bursts"]), key=lambda one: one["p99_us"])
    p99 = GOALS["burst_p99_us"]
    return markdown(
        [
            ["", "goal", "Targetry", ""],
            [
                "added to the caller's call, µs",
                f"≤ {GOALS['added_us']:.0f} {mark(typical <= GOALS['added_us'])}",
                f"{typical:.1f}",
                f"{us(middle['sending_us'])} against {us(middle['silent_us'])} without impressions; "
                f"{added[0]:.1f} to {added[-1]:.1f} in {len(added)} rounds",
            ],
            _sustained_row("decisions/s without drops", found["steps"], found["drained"]),
            _sustained_row("the same, upstream 50 ms", found["steps_slow"], found["drained_slow"]),
            [
                "burst of decisions, p99 of a submission, µs",
                f"≤ {p99:.0f} {mark(deciding['p99_us'] <= p99)}",
                us(deciding["p99_us"]),
                f"median {us(deciding['median_us'])}, p99.9 {us(deciding['p999_us'])}; the whole call p99 {us(deciding['call_p99_us'])}",
            ],
            [
                f"burst of {TOUGH_QUEUE_RATE}/ms or more, p99 of a submission, µs",
                f"≤ {p99:.0f} {mark(offering['p99_us'] <= p99 and offering['per_ms'] >= TOUGH_QUEUE_RATE)}",
                us(offering["p99_us"]),
                f"{offering['per_ms']:,.0f}/ms; median {us(offering['median_us'])}, p99.9 {us(offering['p999_us'])}",
            ],
        ]
    )


def _added_us(one: dict[str, Any]) -> float:
    return float(one["sending_us"] - one["silent_us"])


def _sustained_row(name: str, steps: list[dict[str, Any]], drained: dict[str, Any]) -> list[str]:
    step = steps[-1]
    return [
        name,
        "",
        f"{step['per_s']:,.0f}" if step["can_go_on"] else "none of the steps",
        f"{step['tenths']} tenths of the {drained['per_s']:,.0f}/s that are sent without decisions, over "
        f"{drained['server']['connections']} connections, {us(drained['cpu_us'])} µs of processor time each; "
        f"{step['share']:.0%} of a core in use; a call then: median {us(step['call_median_us'])} µs, p99 {us(step['call_p99_us'])} µs",
    ]


def _ledger(ledger: dict[str, Any]) -> str:
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in ledger["dropped"].items()) or "none"
    return (
        f"The delivery counters added up in all {ledger['readings']:,} readings: accepted = sent + pending + dropped. At the end {ledger['accepted']:,} accepted, "
        f"{ledger['sent']:,} sent,\nas many as the server received, and dropped: {dropped}."
    )


def _bound(window: dict[str, float], ideal: float | None) -> str:
    """Return what limited the rate."""
    if ideal is not None and window["per_s"] >= GOALS["ideal"] * ideal:
        return "the upstream's 50 ms"
    server = window["per_s"] * window["server_us"] / 1e6
    shares = f"client {window['share']:.0%}, server {server:.0%} of a core"
    if window["share"] >= 0.9:
        return f"the client's processor time ({shares})"
    if server >= 0.9:
        return f"the server's processor time ({shares})"
    if window["busy"] >= 0.9:
        return f"other load of the machine ({shares})"
    return f"waiting ({shares})"
