"""Charts over time."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from support.ledger import ACTIVITY, HOUR, timed_events
from targetry.edge.app import Edge, EdgeApplication
from targetry.edge.in_process import GivenArtifact
from targetry.edge.ui.report_cache import ReportCache
from targetry.ledger.ledger import Ledger
from targetry.ledger.timeline import StepFigures, Timeline
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
