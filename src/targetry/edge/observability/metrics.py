"""Metrics of an edge, for Prometheus; each application has a registry of its own."""

from __future__ import annotations

import os
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from targetry.edge.observability.artifact_state import ArtifactState
from targetry.edge.observability.duration_histogram import DurationHistogram
from targetry.edge.observability.metric_info import METRICS, PREFIX

CONTENT_TYPE = CONTENT_TYPE_LATEST

COUNTED: Final = (
    "artifact_reloads",
    "artifact_refusals",
    "hook_failures",
    "requests_recorded",
    "requests_dropped",
)
"""Metrics that parts of the edge count themselves."""

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


SHARED_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable with the folder where worker processes keep their metrics.

prometheus_client reads it when it is imported, so it must be set before a worker process starts.
"""

_MAX_DEAD_FILES: Final = 256
_HEADER_BYTES: Final = 8
_READ_ATTEMPTS: Final = 5


def remove_dead_processes(folder: Path) -> None:
    """Remove the gauges of ended processes, and their oldest counts if there are too many.

    A removed count lowers a total, which Prometheus takes for a restart.
    """
    dead: list[Path] = []
    for file in folder.glob("*.db"):
        process = file.stem.rpartition("_")[2]
        if not process.isdigit() or _is_running(int(process)):
            continue
        if file.stem.startswith("gauge_live"):
            with suppress(FileNotFoundError):  # another process removes it as well
                mark_process_dead(process, str(folder))  # type: ignore[no-untyped-call]
        else:
            dead.append(file)
    if len(dead) > _MAX_DEAD_FILES:
        for file in sorted(dead, key=_modified_at)[:-_MAX_DEAD_FILES]:
            file.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _modified_at(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


class Metrics:
    """Metrics of one edge.

    Args:
        artifacts: Returns the state of each artifact.
        counts: Returns the values of the metrics in `COUNTED`.
    """

    def __init__(
        self, artifacts: Callable[[], list[ArtifactState]], counts: Callable[[], tuple[int, ...]]
    ) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests")
        name, text, (route,) = _described("request_seconds")
        self.seconds = DurationHistogram(name, text, route, _SECONDS, self.registry)
        self.events = self._counter("events")
        self.lost_events = self._counter("lost_events")
        self.unknown_tokens = self._counter("unknown_tokens")
        self.notifications = self._counter("notifications")
        self.telemetry = self._counter("telemetry_entries")
        self._flags = self._counter("ofrep_evaluations")
        self._unsynced_flags: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.problems = self._counter("rule_problems")
        self.unread = self._counter("unread_fields")
        self.limits = self._counter("limits")
        self.connections = Gauge(
            *_described("connections"),
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self.starts = self._counter("starts")
        self._counters = tuple(map(self._counter, COUNTED))
        self._counts = counts
        self._counted = (0,) * len(COUNTED)
        self._artifacts = _Artifacts(artifacts)
        self.registry.register(self._artifacts)

    def _counter(self, name: str) -> Counter:
        return Counter(*_described(name), registry=self.registry)

    def text(self) -> bytes:
        """Return the metrics as Prometheus reads them, of all processes that share their folder."""
        self.sync()
        folder = os.environ.get(SHARED_FOLDER)
        if folder is None:
            return generate_latest(self.registry)
        remove_dead_processes(Path(folder))
        registry = CollectorRegistry()
        registry.register(_SharedMetrics(Path(folder), self.seconds))
        registry.register(self._artifacts)
        return generate_latest(registry)

    def count_flags(self, form: str, outcomes: Mapping[str, int]) -> None:
        """Count flags by their outcomes; `sync` adds them, as a lock for each flag takes long."""
        for outcome, number in outcomes.items():
            self._unsynced_flags[form, outcome] += number

    def sync(self) -> None:
        """Add what the parts of the edge have counted since the last call."""
        for labels, number in self._unsynced_flags.items():
            self._flags.labels(*labels).inc(number)
        self._unsynced_flags.clear()
        counts = self._counts()
        for counter, count, counted in zip(self._counters, counts, self._counted, strict=True):
            counter.inc(count - counted)
        self._counted = counts


def _described(name: str) -> tuple[str, str, tuple[str, ...]]:
    """Return the full name, the text and the labels of a metric."""
    info = METRICS[name]
    return PREFIX + name, info.text, tuple(info.labels)


class _SharedMetrics:
    """Collector of the metrics that processes keep in a folder.

    A process that starts, or was killed while it started, has files without content; a file can be
    removed while the others are read.
    """

    def __init__(self, folder: Path, seconds: DurationHistogram) -> None:
        self._folder = folder
        self._seconds = seconds

    def collect(self) -> Iterable[Metric]:
        for attempts_left in reversed(range(_READ_ATTEMPTS)):
            files = [str(file) for file in self._folder.glob("*.db") if _size(file) >= _HEADER_BYTES]
            try:
                merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
            except (FileNotFoundError, struct.error):
                if not attempts_left:
                    raise
            else:
                return self._seconds.assemble(merged)
        return ()


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


class _Artifacts:
    """Collector of the state of the artifacts, read at each exposition."""

    def __init__(self, artifacts: Callable[[], list[ArtifactState]]) -> None:
        self._artifacts = artifacts

    def collect(self) -> Iterable[Metric]:
        loaded, refused = (
            GaugeMetricFamily(name, text, labels=labels)
            for name, text, labels in map(_described, ("artifact_loaded_seconds", "artifact_refused"))
        )
        for state in self._artifacts():
            loaded.add_metric([state.name], state.loaded_at)
            refused.add_metric([state.name], float(state.refused is not None))
        yield loaded
        yield refused
