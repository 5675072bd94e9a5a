"""Cache of a ledger's reports and its plot, for the dashboard.

There is a report of all visitors, one by each recorded fact, and one by earlier visits. A report is
valid for two seconds or ten times its own computation time, so polling one costs at most a tenth of
a processor core; one with other plans of the folders of activities is made at once. All methods
block; call them in a thread.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from targetry.errors import OptionError
from targetry.ledger.event import NEW
from targetry.ledger.store import EventStore, LedgerReader
from targetry.ledger.timeline import Timeline
from targetry.report.by_segment import SegmentReport, report_by_segment
from targetry.report.forest import render_forest, segment_forest
from targetry.report.options import ReportOptions
from targetry.report.panels import activity_panels
from targetry.report.plot import MAX_ACTIVITIES, plotted_activities, write_plot
from targetry.report.report import ActivityReport, Report, report_on_ledger, without_series
from targetry.report.svg import render_svg

if TYPE_CHECKING:
    from targetry.activities.compile.report_plans import FolderPlans

_SHORTEST_S: Final = 2.0
_TIMES_ITS_COST: Final = 10


class Picture(msgspec.Struct, frozen=True):
    """Panel of an activity as an SVG element."""

    title: str
    note: str
    svg: str


class CachedReport(msgspec.Struct, frozen=True):
    """Report with the time of its computation (epoch ms), and the timeline up to it.

    `pictures` has the panels of each activity by its id; the page shows `most_activities`.
    """

    report: Report
    at_ms: int
    timeline: Timeline | None = None
    pictures: dict[str, list[Picture]] = {}
    most_activities: int = MAX_ACTIVITIES

    @property
    def is_plotted(self) -> bool:
        """Whether there is something to plot."""
        return bool(plotted_activities(self.report))

    @property
    def encoded(self) -> bytes:
        """The JSON that `targetry report -o json` prints."""
        return msgspec.json.encode(without_series(self.report))


class ReportCache:
    """Reports of one ledger. Thread-safe."""

    def __init__(
        self,
        ledger: EventStore,
        segments: Sequence[str] = (),
        *,
        zone: str = "UTC",
        plans: Callable[[], Sequence[FolderPlans]] = tuple,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Offer reports by the facts named in `segments`, with the days of the time zone `zone`.

        Plans are those that `plans` returns.

        Raises:
            OptionError: There is no such time zone.
        """
        self._options = ReportOptions(over_time=True, amounts=True, zone=zone)
        self.segments = (*dict.fromkeys(segments), NEW)
        self._ledger = ledger
        self._plans = plans
        self._now = now
        self._lock = threading.Lock()
        self._cached: dict[str, tuple[CachedReport, float, ReportOptions]] = {}
        self._plot: tuple[Report, bytes | None] | None = None

    def report(self, by: str = "") -> CachedReport:
        """Return the report, with pictures of the segments of a fact if `by` is its name.

        Raises:
            LedgerError: The ledger cannot be read.
            MissingExtraError: The extra `report` is not installed.
            TargetError: The plans of the folders contradict each other.
        """
        with self._lock:
            return self._report(by)

    def plot(self) -> bytes | None:
        """Return the plot as an SVG, None if no activity has visitors.

        Raises:
            LedgerError: The ledger cannot be read.
            MissingExtraError: The extra `report` is not installed.
            PlotError: The plot cannot be drawn.
            TargetError: The plans of the folders contradict each other.
        """
        with self._lock:
            report = self._report().report
            if self._plot is None or self._plot[0] != report:
                self._plot = report, _draw(report)
            return self._plot[1]

    def _report(self, by: str = "") -> CachedReport:
        by = by if by in self.segments else ""
        started = time.monotonic()
        options = self._options.with_folders(self._plans())
        cached, stale_at, made_with = self._cached.get(by, (None, 0.0, options))
        if cached is None or started >= stale_at or made_with != options:
            with self._ledger.reader() as reader:
                made, now_ms = report_on_ledger(reader, options), int(self._now() * 1000)
                timeline = reader.timeline(now_ms) if reader.has_sums else None
                segments = _segments(reader, by, made, options) if by else None
            pictures = {one.id: _pictures(one, made, segments) for one in plotted_activities(made)}
            finished = time.monotonic()
            took = 0.0 if cached is None else finished - started  # the first one imports scipy
            cached = CachedReport(made, now_ms, timeline, pictures)
            self._cached[by] = cached, finished + max(_SHORTEST_S, took * _TIMES_ITS_COST), options
        return cached


def _segments(reader: LedgerReader, by: str, report: Report, options: ReportOptions) -> SegmentReport | None:
    """Return the segments, None before a visitor has the fact."""
    try:
        return report_by_segment(reader, by, options, report.activities)
    except OptionError:
        return None


def _pictures(activity: ActivityReport, report: Report, segments: SegmentReport | None) -> list[Picture]:
    found = [Picture(one.title, one.note, render_svg(one)) for one in activity_panels(activity, report)]
    forest = None if segments is None else segment_forest(activity, report, segments)
    return [*found, *([Picture(forest.title, forest.note, render_forest(forest))] if forest else [])]


def _draw(report: Report) -> bytes | None:
    if not plotted_activities(report):
        return None
    with tempfile.TemporaryDirectory(prefix="targetry-") as folder:
        path = Path(folder) / "rates.svg"
        write_plot(report, path)
        return path.read_bytes()
