"""A report on a ledger, for `ledger.py`: its time, and the memory of the process."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from run_targetry import main
from targetry.ledger.event import Kind, LedgerEvent

KINDS: tuple[Kind, ...] = ("impression", "click")


EVENTS = [
    LedgerEvent(f"{kind}-{n}", kind, f"v{n}", "1", str(n % 2), "hero", "token", n, "session")
    for n in range(200)
    for kind in KINDS
]


def peak_mb() -> float:
    """Return the largest resident memory in MB since the start of the program."""
    (line,) = [one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM")]
    return int(line.split()[1]) * 1024 / 1e6


def report(command: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of one report in this process, which makes no other one."""
    from targetry.ledger.location import open_reader
    from targetry.report.by_segment import report_by_segment
    from targetry.report.options import ReportOptions
    from targetry.report.report import make_report, report_on_ledger

    make_report(EVENTS)  # imports
    started, cpu = time.perf_counter(), time.process_time()
    with open_reader(command["location"]) as reader:
        options = ReportOptions(**command["options"])
        made = report_on_ledger(reader, options)
        if command["by"]:
            report_by_segment(reader, command["by"], options, made.activities)
    return {
        "seconds": time.perf_counter() - started,
        "cpu_s": time.process_time() - cpu,
        "peak_mb": peak_mb(),
        "visitors": sum(one.visitors for one in made.activities),
    }


if __name__ == "__main__":
    main({"report": report})
