"""Charts over time."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from starlette.testclient import TestClient

from support.ledger import ACTIVITY, HOUR, event, timed_events
from targetry.edge.app import Edge, EdgeApplication
from targetry.edge.in_process import GivenArtifact
from targetry.edge.ui.report_cache import ReportCache
from targetry.edge.ui.report_charts import time_charts
from targetry.ledger.database import FILE_NAME
from targetry.ledger.ledger import Ledger
from targetry.ledger.timeline import StepFigures, Timeline, read_timeline
from targetry.report.report import report_on_ledger
from targetry.samples import shop_path


def ledger(folder: Path) -> Ledger:
    opened = Ledger.open(folder)
    opened.describe([ACTIVITY])
    opened.record(timed_events())
    return opened


def test_timeline_counts_clicks_and_orders_of_each_step(tmp_path: Path) -> None:
    with ledger(tmp_path) as opened, opened.reader() as reader:
        assert reader.timeline(6 * HOUR) == Timeline(
            HOUR,
            10 * 60_000,
            25,
            {
                "1": {
                    "0": {0: StepFigures(1, 1, 0, 0), 24: StepFigures(1, 1, 0, 0)},
                    "1": {6: StepFigures(1, 0, 1, 40), 24: StepFigures(1, 0, 1, 0)},
                }
            },
        )


@pytest.mark.parametrize("now_ms", [0, 60 * 86_400_000 + HOUR], ids=["before", "long after"])
def test_timeline_without_events_in_its_time_is_none(tmp_path: Path, now_ms: int) -> None:
    with ledger(tmp_path) as opened, opened.reader() as reader:
        assert reader.timeline(now_ms) is None


def test_timeline_that_takes_too_long_counts_the_latest_events(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as opened:
        opened.record([event(f"{n:04}", "click", visitor=str(n), at=HOUR + n) for n in range(3_000)])
        # A reader counts the events, which moves them to the table that a timeline is read from.
        with opened.reader(), closing(sqlite3.connect(tmp_path / FILE_NAME)) as file:
            late = read_timeline(file, 6 * HOUR, longest_s=-1, fallback_events=10)
            full = read_timeline(file, 6 * HOUR, longest_s=60, fallback_events=10)
    assert late is not None
    assert full is not None
    assert [one.is_complete for one in (late, full)] == [False, True]
    assert late.figures["1"]["0"] == {0: StepFigures(10, 10, 0, 0)}
    assert full.figures["1"]["0"] == {0: StepFigures(3_000, 3_000, 0, 0)}


def test_chart_says_which_events_it_counts(tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    with ledger(tmp_path) as opened, opened.reader() as reader:
        (activity,) = report_on_ledger(reader).activities
        timeline = reader.timeline(6 * HOUR)
    assert timeline is not None
    partial = msgspec.structs.replace(timeline, is_complete=False)
    totals = [time_charts(activity, one)[0].total for one in (timeline, partial)]
    assert totals == ["2 in this time", "2 in the latest 50,000 events"]


def test_report_draws_each_metric_over_time(tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    with ledger(tmp_path) as opened:
        cache = ReportCache(opened, now=lambda: 6 * HOUR / 1000)
        edge = Edge(GivenArtifact(shop_path(), None), ledger=opened, report_cache=cache)
        page = TestClient(EdgeApplication(edge)).get("/report").text
    charts = re.findall(r"<figcaption>([^<]+) <small>.*?</figcaption>(.*?)</figure>", page, re.DOTALL)
    assert [title for title, _ in charts] == [
        "Clicks per visitor",
        "Orders per visitor",
        "Revenue per visitor",
    ]
    lines = re.findall(r'<polyline class="(s\d)" points="([^"]+)">', charts[0][1])
    assert [one for one, _ in lines] == ["s0", "s1"]
    assert lines[0][1] == "2.00,1.00 98.00,1.00"
    assert "Thu 1970-01-01 01:00 UTC" in charts[0][1]
