"""Benchmark of on-device decisions: Targetry and Adobe's SDKs in one run.

    scripts/bench device

The program prints tables and writes them to benchmarks/RESULTS.md. Each contestant runs in a
separate process and environment and decides the same requests with the same artifacts; the
benchmark also checks that the results are equal.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from report import keep, machine, mark, markdown, us
from running import (
    ENVIRONMENT,
    HERE,
    NODE_MODULES,
    OFFICIAL_PYTHON,
    Contestant,
    Progress,
    Running,
    fresh,
)
from scenarios import Scenario, large_artifact, scenarios

STAGES = Contestant("Targetry's steps", [sys.executable, str(HERE / "run_device_stages.py")])
SLOW_GOALS = {"flat": 1.2, "ready": 1.0, "memory": 4.0, "import": 80.0}


def contestants() -> list[Contestant]:
    """Return Targetry, then the contestants whose environment exists."""
    found = [
        Contestant("Targetry", [sys.executable, str(HERE / "run_targetry.py")], sys.executable, "targetry")
    ]
    if OFFICIAL_PYTHON.exists():
        official = str(OFFICIAL_PYTHON)
        found.append(
            Contestant(
                "Python 1.1.0", [official, str(HERE / "run_official.py")], official, "target_python_sdk"
            )
        )
    if shutil.which("node") and (NODE_MODULES / "@adobe" / "target-nodejs-sdk").is_dir():
        found.append(Contestant("Node 2.4.3", ["node", "--expose-gc", str(HERE / "run_node.cjs")]))
    return found


# ── decisions ───


def decisions(
    chosen: list[Scenario], seconds: float, folder: Path, progress: Progress
) -> dict[str, dict[str, Any]]:
    """Return the timing of each contestant in each scenario."""
    rows: dict[str, dict[str, Any]] = {}
    for scenario in chosen:
        path = folder / "artifact.json"
        path.write_text(json.dumps(scenario.artifact), "utf-8")
        command = {
            "do": "decide",
            "artifact": str(path),
            "requests": _requests(scenario),
            "rounds": 2,
            "seconds": seconds,
        }
        row: dict[str, Any] = {}
        for contestant in contestants():
            progress(f"{scenario.name}: {contestant.name}")
            running = Running(contestant)
            try:
                row[contestant.name] = running.ask(command)
            finally:
                running.close()
        _check_same(scenario, row)
        rows[scenario.name] = row
    return rows


def _requests(scenario: Scenario) -> list[dict[str, Any]]:
    if not scenario.vary:
        return [scenario.request]
    context = scenario.request["context"]
    agents = (f"{context['userAgent']} Build/{number}" for number in range(400))
    return [{**scenario.request, "context": {**context, "userAgent": agent}} for agent in agents]


def _check_same(scenario: Scenario, row: dict[str, Any]) -> None:
    contents = {name: _contents(answer.pop("response")) for name, answer in row.items()}
    expected = contents["Targetry"]
    if not expected:
        raise RuntimeError(f"{scenario.name}: nothing was delivered")
    for name, found in contents.items():
        if found != expected:
            raise RuntimeError(f"{scenario.name}: {name} delivers something else than Targetry")


def _contents(tree: Any) -> list[str]:
    """Return the delivered contents in a canonical order."""
    if isinstance(tree, list):
        return sorted(content for item in tree for content in _contents(item))
    if not isinstance(tree, dict):
        return []
    own = (
        [json.dumps(tree["content"], sort_keys=True)]
        if "content" in tree and "responseTokens" in tree
        else []
    )
    return sorted(own + [content for value in tree.values() if not own for content in _contents(value)])


def steps(seconds: float, progress: Progress) -> dict[str, float]:
    """Return the microseconds of each step of a prefetch."""
    progress("prefetch one mbox: its steps")
    scenario = next(one for one in scenarios() if one.name.startswith("prefetch one mbox"))
    command = {
        "do": "stages",
        "artifact": scenario.artifact,
        "request": scenario.request,
        "seconds": 3 * seconds,
    }
    found = fresh(STAGES, command)
    return {
        "checking and copying the request": found["copy"],
        "the other options, filling in what the request leaves out": found["begin"] - found["copy"],
        "deciding": found["decide"],
        "cookies, envelope, and cache misses between the steps": found["all"]
        - found["begin"]
        - found["decide"],
        "together": found["all"],
    }


# ── loading and importing ───


def loads(folder: Path, progress: Progress, tries: int) -> tuple[int, dict[str, dict[str, Any]]]:
    """Return the size of a large artifact's JSON, and each contestant's cost of loading it."""
    path = folder / "large.json"
    text = large_artifact()
    path.write_bytes(text)
    rows: dict[str, dict[str, Any]] = {}
    for contestant in contestants():
        progress(f"10 MB artifact: {contestant.name}")
        answers = [
            fresh(contestant, {"do": "load", "artifact": str(path), "traced": False}) for _ in range(tries)
        ]
        best = min(answers, key=lambda answer: answer["seconds"])
        best["resident_mb"] = sorted(answer["resident_mb"] for answer in answers)[len(answers) // 2]
        best["traced_mb"] = fresh(contestant, {"do": "load", "artifact": str(path), "traced": True})[
            "traced_mb"
        ]
        rows[contestant.name] = best
    return len(text), rows


def imports(progress: Progress, tries: int) -> dict[str, float]:
    """Return the milliseconds of processor time that an import adds to starting Python."""
    found: dict[str, float] = {}
    for contestant in contestants():
        if contestant.python is None or contestant.module is None:
            continue
        progress(f"import {contestant.module}")
        with_it = min(_start_ms(contestant.python, f"import {contestant.module}") for _ in range(tries))
        without = min(_start_ms(contestant.python, "pass") for _ in range(tries))
        found[contestant.name] = with_it - without
    return found


def _start_ms(python: str, code: str) -> float:
    """Return the processor time of a start in milliseconds."""
    with subprocess.Popen([python, "-W", "ignore", "-c", code], env=ENVIRONMENT) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{python} cannot {code}")
    return (usage.ru_utime + usage.ru_stime) * 1000


# ── the report ───


def report(
    rows: dict[str, dict[str, Any]],
    chosen: list[Scenario],
    parts: dict[str, float],
    size: int,
    loaded: dict[str, dict[str, Any]],
    imported: dict[str, float],
) -> str:
    """Return all tables as Markdown."""
    return "\n\n".join(
        (
            "# On-device decisions",
            f"Made by `scripts/bench device` on {machine('Node ' + _node_version())}.",
            "Microseconds of one `get_offers` call: the best batch, and the median batch in parentheses. The factor is the ratio\n"
            "to Targetry (best batches). ✓ and ✗ say whether the goal is met.",
            _decision_table(rows, chosen),
            _flatness(rows),
            "## Where the time of prefetching one mbox goes",
            markdown([["", "µs"], *([name, us(value)] for name, value in parts.items())]),
            f"## A {size / 1e6:.1f} MB artifact, from file to ready",
            _load_table(size, loaded),
            "## Import, added to the start of Python",
            _import_table(imported),
        )
    )


def _node_version() -> str:
    if not shutil.which("node"):
        return "absent"
    return subprocess.run(["node", "--version"], check=True, capture_output=True, text=True).stdout.strip()


def _decision_table(rows: dict[str, dict[str, Any]], chosen: list[Scenario]) -> str:
    names = [contestant.name for contestant in contestants()]
    table = [["", "goal", *names]]
    for scenario in chosen:
        row = rows[scenario.name]
        ours = row["Targetry"]["best_us"]
        goal = (
            "" if scenario.goal_us is None else f"≤ {scenario.goal_us:,.0f} {mark(ours <= scenario.goal_us)}"
        )
        others = [f"{_timing(row[name])} {row[name]['best_us'] / ours:.1f}×" for name in names[1:]]
        table.append([scenario.name, goal, _timing(row["Targetry"]), *others])
    return markdown(table)


def _flatness(rows: dict[str, dict[str, Any]]) -> str:
    sizes = [
        row["Targetry"]["best_us"]
        for name, row in rows.items()
        if name.endswith("activities") and " of " in name
    ]
    if len(sizes) < 2:
        return ""
    factor = max(sizes) / min(sizes)
    return f"Over the sizes of the artifact: {factor:.2f}× from the fastest to the slowest, goal ≤ {SLOW_GOALS['flat']}× {mark(factor <= SLOW_GOALS['flat'])}."


def _load_table(size: int, loaded: dict[str, dict[str, Any]]) -> str:
    table = [["", "goal", *loaded]]
    ours = loaded["Targetry"]
    ready = mark(ours["seconds"] <= SLOW_GOALS["ready"])
    table.append(
        [
            "seconds",
            f"≤ {SLOW_GOALS['ready']:.0f} {ready}",
            *(f"{answer['seconds']:.2f}" for answer in loaded.values()),
        ]
    )
    fits = mark(ours["resident_mb"] * 1e6 <= SLOW_GOALS["memory"] * size)
    factors = (
        f"{answer['resident_mb']:.0f} MB, {answer['resident_mb'] * 1e6 / size:.1f}×"
        for answer in loaded.values()
    )
    table.append(["resident memory, of the JSON's size", f"≤ {SLOW_GOALS['memory']:.0f}× {fits}", *factors])
    traced = (
        f"{mb:.0f} MB, {mb * 1e6 / size:.1f}×" if (mb := answer["traced_mb"]) is not None else ""
        for answer in loaded.values()
    )
    table.append(["Python objects (tracemalloc)", "", *traced])
    return markdown(table)


def _import_table(imported: dict[str, float]) -> str:
    ours = imported["Targetry"]
    goal = f"≤ {SLOW_GOALS['import']:.0f} {mark(ours <= SLOW_GOALS['import'])}"
    cells = [
        f"{ms:.0f}" + ("" if name == "Targetry" else f" {ms / ours:.1f}×") for name, ms in imported.items()
    ]
    return markdown([["", "goal", *imported], ["milliseconds of processor time", goal, *cells]])


def _timing(answer: dict[str, Any]) -> str:
    return f"{us(answer['best_us'])} ({us(answer['median_us'])})"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="for each decision and contestant")
    parser.add_argument("--quick", action="store_true", help="a short run that writes no results")
    parser.add_argument(
        "--only", default="", help="only scenarios whose name contains TEXT; writes no results"
    )
    given = parser.parse_args()
    progress = Progress()
    chosen = [scenario for scenario in scenarios() if given.only in scenario.name]
    seconds = 0.2 if given.quick else given.seconds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = decisions(chosen, seconds, folder, progress)
        if given.only:
            progress("")
            print(_decision_table(rows, chosen))
            return
        tries = 1 if given.quick else 5
        parts = steps(seconds, progress)
        size, loaded = loads(folder, progress, tries)
        imported = imports(progress, 3 * tries)
    progress("")
    text = report(rows, chosen, parts, size, loaded, imported)
    print(text)
    if not given.quick:
        keep(text)


if __name__ == "__main__":
    main()
