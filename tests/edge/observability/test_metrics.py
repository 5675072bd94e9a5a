"""Metrics over processes."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from support.late import LATE_S
from targetry.edge.observability.metric_info import METRICS, PREFIX
from targetry.edge.observability.metrics import COUNTED, SHARED_FOLDER, Metrics


def test_each_described_metric_is_exposed_with_its_type() -> None:
    exposed = {one.name: one.type for one in Metrics(list, lambda: (0,) * len(COUNTED)).registry.collect()}
    assert exposed == {PREFIX + name: info.kind for name, info in METRICS.items()}


def test_file_without_content_does_not_keep_the_metrics_from_being_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was killed while it started leaves such a file."""
    monkeypatch.setenv(SHARED_FOLDER, str(tmp_path))
    (tmp_path / "counter_1.db").write_bytes(b"")
    (tmp_path / "histogram_1.db").write_bytes(b"\0\0")
    text = Metrics(list, lambda: (0,) * len(COUNTED)).text()
    assert b"targetry_edge_artifact_refused" in text


def test_durations_are_exposed_as_a_histogram_with_cumulative_buckets() -> None:
    metrics = Metrics(list, lambda: (0,) * len(COUNTED))
    metrics.seconds.observe("delivery", [0.0004, 0.0005, 0.0006])
    metrics.seconds.observe("delivery", [2.0])
    value = partial(metrics.registry.get_sample_value, "targetry_edge_request_seconds_bucket")
    buckets = [value({"route": "delivery", "le": bound}) for bound in ("0.0005", "0.001", "1.0", "+Inf")]
    assert buckets == [2, 3, 3, 4]
    labels = {"route": "delivery"}
    assert metrics.registry.get_sample_value("targetry_edge_request_seconds_count", labels) == 4
    assert metrics.registry.get_sample_value("targetry_edge_request_seconds_sum", labels) == pytest.approx(
        2.0015
    )


_OBSERVE = """
from targetry.edge.observability.metrics import COUNTED, Metrics
metrics = Metrics(list, lambda: (0,) * len(COUNTED))
metrics.seconds.observe("delivery", [0.0004, 2.0])
print(metrics.text().decode())
"""


def test_histograms_of_processes_are_added(tmp_path: Path) -> None:
    environment = {**os.environ, SHARED_FOLDER: str(tmp_path)}
    for expected in (1, 2):
        program = [sys.executable, "-c", _OBSERVE]
        run = subprocess.run(
            program, env=environment, capture_output=True, text=True, check=True, timeout=LATE_S
        )
        lines = [line for line in run.stdout.splitlines() if "request_seconds" in line]
        assert "# TYPE targetry_edge_request_seconds histogram" in lines
        assert f'targetry_edge_request_seconds_bucket{{le="0.0005",route="delivery"}} {expected}.0' in lines
        assert f'targetry_edge_request_seconds_count{{route="delivery"}} {2 * expected}.0' in lines
        assert not any("in_bucket" in line or "together" in line for line in lines)
