"""What an edge counts, for Prometheus; each app has a registry of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    values,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from targetry.edge.observability.artifact_state import ArtifactState

CONTENT_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


_shared_folder: str | None = None


def share_metrics(folder: str, number: int) -> None:
    """From now on keep the metrics of this process in files of a folder, where those of others are added to them.

    `number` is the process's among those. One that is started anew has its number again, and goes on with its counts.
    """
    global _shared_folder  # prometheus_client has this for a process as a whole as well
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = _shared_folder = folder
    values.ValueClass = values.MultiProcessValue(lambda: number)  # type: ignore[no-untyped-call]


def end_sharing() -> None:
    """Close the files, where prometheus_client can; nothing may be counted afterwards."""
    close: Callable[[], object] = getattr(values, "close_all_multiprocess_files", lambda: None)
    close()


def forget_process(number: int, folder: str) -> None:
    """What is told of the present only, of a process that has ended."""
    mark_process_dead(number, folder)  # type: ignore[no-untyped-call]


class Metrics:
    """`artifacts` tells how each artifact stands, `tally` how many were reloaded and refused."""

    def __init__(
        self, artifacts: Callable[[], list[ArtifactState]], tally: Callable[[], tuple[int, int]]
    ) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests", "Requests answered.", "route", "status")
        self.seconds = Histogram(
            "targetry_edge_request_seconds",
            "Time to answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.events = self._counter(
            "events", "Events by what became of them: recorded, seen before, lost.", "kind", "outcome"
        )
        self.notifications = self._counter("notifications", "Notifications accepted.")
        self.telemetry = self._counter("telemetry_entries", "Telemetry entries accepted.")
        self.problems = self._counter("rule_problems", "Rules skipped as they could not be evaluated.")
        self.unread = self._counter(
            "unread_fields", "Fields of requests in a form that is not understood, left out.", "field"
        )
        self.limits = self._counter("limits", "What was ended at a limit.", "limit")
        self.connections = Gauge(
            "targetry_edge_connections",
            "Open connections.",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self.starts = self._counter("starts", "Processes that began to serve.")
        self._reloads = self._counter("artifact_reloads", "Artifacts read anew.")
        self._refusals = self._counter("artifact_refusals", "Artifacts refused.")
        self._tally = tally
        self._tallied = (0, 0)
        self._artifacts = _Artifacts(artifacts)
        self.registry.register(self._artifacts)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"targetry_edge_{name}", text, labels, registry=self.registry)

    def text(self) -> bytes:
        """The exposition that Prometheus reads; of all processes that share their metrics."""
        self.sync()
        if _shared_folder is None:
            return generate_latest(self.registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, _shared_folder)  # type: ignore[no-untyped-call]
        registry.register(self._artifacts)
        return generate_latest(registry)

    def sync(self) -> None:
        """Take over what others have counted."""
        reloads, refusals = self._tally()
        self._reloads.inc(reloads - self._tallied[0])
        self._refusals.inc(refusals - self._tallied[1])
        self._tallied = reloads, refusals


class _Artifacts:
    """Asked when somebody looks."""

    def __init__(self, artifacts: Callable[[], list[ArtifactState]]) -> None:
        self._artifacts = artifacts

    def collect(self) -> Iterable[Metric]:
        loaded = GaugeMetricFamily(
            "targetry_edge_artifact_loaded_seconds", "When the artifact in use was read.", labels=["artifact"]
        )
        refused = GaugeMetricFamily(
            "targetry_edge_artifact_refused", "1 while a newer one is refused.", labels=["artifact"]
        )
        for state in self._artifacts():
            loaded.add_metric([state.name], state.loaded_at)
            refused.add_metric([state.name], float(state.refused is not None))
        yield loaded
        yield refused
