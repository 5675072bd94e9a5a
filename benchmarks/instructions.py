"""Processor instructions per call, counted by callgrind.

    scripts/bench instructions [--against REF] [--only TEXT]

Counts hardly depend on other load of the machine, so two commits can be compared to a percent.
`--against` counts the same calls in another commit and prints ratios. Without it, the exit status
is 1 if a call costs more than its limit.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

from run_instructions import SCENARIOS
from running import ENVIRONMENT

AB_OFFERS = "get_offers on device, A/B test"
RULE_OFFERS = "get_offers on device, parameter rule"
MEMORY_PROVIDER = "OpenFeature, its in-memory provider"
# Call → most instructions, and of which call they are at most which part.
LIMITS: dict[str, tuple[int, str | None, float]] = {
    AB_OFFERS: (115_000, None, 1),
    "decide, A/B test": (11_700, AB_OFFERS, 1 / 8),
    "decide, A/B test, reported": (16_200, AB_OFFERS, 1 / 5),
    "decide, parameter rule": (16_800, RULE_OFFERS, 1 / 6),
    "visitor and decide, A/B test": (31_000, AB_OFFERS, 1 / 3),
    "flag, A/B test, impression window": (20_200, AB_OFFERS, 1 / 5),
    "OpenFeature, Targetry's provider": (160_000, MEMORY_PROVIDER, 1.4),
    "Targetry's OpenFeature provider alone": (53_000, AB_OFFERS, 0.47),
    "the edge's deliver": (75_000, None, 1),
    "the edge's OFREP, one flag": (91_000, None, 1),
    "the edge's application, a delivery request": (355_000, None, 1),
}
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", metavar="REF", help="also count in this commit, and print ratios")
    parser.add_argument("--only", metavar="TEXT", default="", help="only scenarios whose name contains TEXT")
    arguments = parser.parse_args()
    if shutil.which("valgrind") is None:
        print(
            "skipped: valgrind is not installed; install it, for instance by apt-get install valgrind",
            file=sys.stderr,
        )
        return
    names = [name for name in SCENARIOS if arguments.only in name]
    if not names:
        parser.error(f"no scenario has {arguments.only!r} in its name; there are: {'; '.join(SCENARIOS)}")
    now = counted(ROOT / "src", names)
    names = list(now)  # those that this environment has
    if arguments.against is None:
        print_table(
            ["Call", "Instructions", "Limit"], [[name, f"{now[name]:,.0f}", limit(name)] for name in names]
        )
        if faults := [fault for name in names if (fault := excess(name, now))]:
            raise SystemExit("\n".join(faults))
        return
    with tempfile.TemporaryDirectory() as folder:
        before = counted(sources(arguments.against, Path(folder)), names)
    rows = [
        [name, f"{before[name]:,.0f}", f"{now[name]:,.0f}", f"{now[name] / before[name]:.3f}"]
        for name in names
        if name in before
    ]
    print_table(["Call", arguments.against, "This tree", "Ratio"], rows)


def limit(name: str) -> str:
    """Return the limit of a scenario as text."""
    if name not in LIMITS:
        return ""
    most, base, part = LIMITS[name]
    return f"{most:,}" if base is None else f"{most:,}, {part:.3g} × {base}"


def excess(name: str, counts: dict[str, float]) -> str | None:
    """Return what a scenario costs above its limit; None if it keeps it."""
    if name not in LIMITS:
        return None
    most, base, part = LIMITS[name]
    if counts[name] > most:
        return f"{name}: {counts[name]:,.0f} instructions, and at most {most:,} are allowed"
    if base is None or base not in counts or counts[name] <= part * counts[base]:
        return None
    return f"{name}: more than {part:.3g} × the instructions of {base}"


def sources(ref: str, folder: Path) -> Path:
    """Unpack the sources of a commit; return the folder for PYTHONPATH."""
    archive = subprocess.run(["git", "archive", ref, "src"], cwd=ROOT, stdout=subprocess.PIPE, check=False)
    if archive.returncode:
        raise SystemExit(f"git has no sources of {ref!r}; name a commit, a branch or a tag")
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder / "src"


def counted(source: Path, names: list[str]) -> dict[str, float]:
    """Return the instructions per call of each scenario, for the package in a folder."""
    with tempfile.TemporaryDirectory() as logs:
        command = [
            "valgrind",
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            f"--log-file={logs}/%p",
            sys.executable,
            str(HERE / "run_instructions.py"),
            *names,
        ]
        environment = {**ENVIRONMENT, "PYTHONPATH": str(source), "PYTHONHASHSEED": "0"}
        ran = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
        if ran.returncode:
            raise SystemExit(
                f"the calls of {source} ended with status {ran.returncode}; its messages are above"
            )
        runs: dict[str, list[tuple[int, int]]] = json.loads(ran.stdout)
        return {
            name: per_call(*((collected(Path(logs), pid), calls) for pid, calls in processes))
            for name, processes in runs.items()
        }


def per_call(few: tuple[int, int], many: tuple[int, int]) -> float:
    """Return the instructions per call from two pairs of instructions and calls."""
    return (many[0] - few[0]) / (many[1] - few[1])


def collected(logs: Path, pid: int) -> int:
    """Return the instructions of a process from callgrind's log."""
    found = re.search(r"Collected : (\d+)", (logs / str(pid)).read_text("utf-8", "replace"))
    assert found, f"callgrind wrote no count of process {pid}"
    return int(found[1])


def print_table(head: list[str], rows: list[list[str]]) -> None:
    """Print a Markdown table with numbers aligned to the right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    for row in [head, rule, *rows]:
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
