"""Cost of a report on a ledger of a million events."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.ledger import ACTIVITY, event
from support.python_process import environment
from targetry.ledger.ledger import Ledger

EVENTS = 1_000_000
MOST_S = 0.5
MOST_KB = 150 * 1024

REPORT = "import sys; from targetry.cli import main; sys.argv = ['targetry', 'report', '--data', sys.argv[1], '-o', 'json']; main()"


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="needs the resources that a process took")
def test_report_on_a_million_events_takes_little_more_than_on_two(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        ledger.describe([ACTIVITY])
        for start in range(0, EVENTS, 2_000):
            ledger.record(
                [
                    event(
                        f"{n:032x}",
                        ("impression", "click")[n % 2],
                        f"visitor-{n * 7919 % EVENTS // 2:032x}",
                        1000 + n,
                        experience_id=str(n // 2 % 2),
                    )
                    for n in range(start, start + 2_000)
                ]
            )
    small = tmp_path / "small"
    with Ledger.open(small) as ledger:
        ledger.describe([ACTIVITY])
        ledger.record([event("a"), event("b", "click")])
    (_, start_s, _), (report, whole_s, kilobytes) = reported(small), reported(tmp_path)
    assert report["activities"][0]["impressions"] == EVENTS // 2
    assert kilobytes <= MOST_KB
    assert whole_s - start_s <= MOST_S, "beyond what starting the command costs"


def reported(folder: Path) -> tuple[Any, float, int]:
    """Return the report, and the processor seconds and kilobytes that the command used."""
    command = [sys.executable, "-c", REPORT, folder]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        report = json.load(process.stdout)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return report, used.ru_utime + used.ru_stime, used.ru_maxrss
