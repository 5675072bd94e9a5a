"""A report on a ledger, for `ledger.py`: its time, and the memory of the process."""

from __future__ import annotations

import resource
import time
from typing import Any

from run_targetry import main
from targetry.ledger.event import Kind, LedgerEvent

KINDS: tuple[Kind, ...] = ("impression", "click")


EVENTS = [
    LedgerEvent(f"{kind}-{n}", kind, f"v{n}", "1", str(n % 2), "hero", "token", n, "session")
    for n in range(200)
    for kind in KINDS
]


def report(command: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of one report in this process, which makes no other one."""
    from targetry.ledger.location import open_reader
    from targetry.report.report import make_report, report_on_ledger

    make_report(EVENTS)  # imports
    started, cpu = time.perf_counter(), time.process_time()
    with open_reader(command["location"]) as reader:
        made = report_on_ledger(reader)
    return {
        "seconds": time.perf_counter() - started,
        "cpu_s": time.process_time() - cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "visitors": sum(one.visitors for one in made.activities),
    }


if __name__ == "__main__":
    main({"report": report})
