"""The report of a ledger and its picture, for a page that is asked for them again and again.

Reading a ledger takes as long as it has events, so a report is kept for a few seconds, or ten times as long as it took: looking
all the time costs at most a tenth of a processor. All of it blocks, and belongs into a thread.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from targetry.ledger.ledger import Ledger
from targetry.report.plot import plotted_activities, write_plot
from targetry.report.report import Report, report_on_ledger

_SHORTEST_S: Final = 2.0
_TIMES_ITS_COST: Final = 10


class Shown(msgspec.Struct, frozen=True):
    """A report, and when it was made (epoch ms)."""

    report: Report
    at_ms: int


class ReportCache:
    """What pages show of a ledger. Its methods may be called from any thread."""

    def __init__(self, ledger: Ledger, *, now: Callable[[], float] = time.time) -> None:
        self._ledger = ledger
        self._now = now
        self._lock = threading.Lock()
        self._shown: Shown | None = None
        self._plot: tuple[Report, bytes | None] | None = None
        self._stale_at = 0.0

    def report(self) -> Shown:
        """Raises `LedgerError`, or `MissingExtraError` where the extra `report` is not installed."""
        with self._lock:
            return self._report()

    def plot(self) -> bytes | None:
        """The report as an SVG; None while there is nothing to draw. Raises as `report`, and `PlotError`."""
        with self._lock:
            report = self._report().report
            if self._plot is None or self._plot[0] != report:
                self._plot = report, _drawn(report)
            return self._plot[1]

    def _report(self) -> Shown:
        started = time.monotonic()
        if self._shown is None or started >= self._stale_at:
            with self._ledger.reader() as reader:
                made = report_on_ledger(reader)
            self._shown = Shown(made, int(self._now() * 1000))
            took = time.monotonic() - started
            self._stale_at = started + took + max(_SHORTEST_S, took * _TIMES_ITS_COST)
        return self._shown


def _drawn(report: Report) -> bytes | None:
    if not plotted_activities(report):
        return None
    with tempfile.TemporaryDirectory(prefix="targetry-") as folder:
        path = Path(folder) / "rates.svg"
        write_plot(report, path)
        return path.read_bytes()
