"""Metrics over processes."""

from __future__ import annotations

from pathlib import Path

import pytest

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
