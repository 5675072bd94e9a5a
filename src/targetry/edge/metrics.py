"""What an edge counts, for Prometheus; each app has a registry of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from .artifacts import ArtifactState

CONTENT_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


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
        self.limits = self._counter("limits", "What was ended at a limit.", "limit")
        self.connections = Gauge("targetry_edge_connections", "Open connections.", registry=self.registry)
        self.registry.register(_Artifacts(artifacts, tally))

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"targetry_edge_{name}", text, labels, registry=self.registry)

    def text(self) -> bytes:
        """The exposition that Prometheus reads."""
        return generate_latest(self.registry)


class _Artifacts:
    """Asked when somebody looks."""

    def __init__(
        self, artifacts: Callable[[], list[ArtifactState]], tally: Callable[[], tuple[int, int]]
    ) -> None:
        self._artifacts = artifacts
        self._tally = tally

    def collect(self) -> Iterable[Metric]:
        reloads, refusals = self._tally()
        yield CounterMetricFamily("targetry_edge_artifact_reloads", "Artifacts read anew.", value=reloads)
        yield CounterMetricFamily("targetry_edge_artifact_refusals", "Artifacts refused.", value=refusals)
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
