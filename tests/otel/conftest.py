"""OpenTelemetry's SDK with exporters in memory, and clients of both kinds that export to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from e2e.client.any_client import Blocking, Connect, Looped, client_factory
from e2e.client.conftest import reach
from e2e.client.target import Target, artifact, rule
from targetry.otel import OpenTelemetryHook

Make = Connect


def named(document: dict[str, Any], variant: str) -> dict[str, Any]:
    document["meta"].update({"activity.name": "Act", "experience.id": 7, "experience.name": variant})
    return document


RULES = artifact(
    localMboxes=["hero", "split", "none", "target-global-mbox"],
    rules={
        "mboxes": {
            "hero": [named(rule("hero", {"title": "private content"}), "all")],
            "split": [rule("split", "s", condition={"<=": [0, {"var": "allocation"}, 99]}, activity=4)],
            "none": [rule("none", "n", condition=False)],
            "target-global-mbox": [],
        },
        "views": {},
    },
)
ON_DEVICE: dict[str, Any] = {
    "decisioning_method": "on-device",
    "polling_interval": 0,
    "artifact_payload": RULES,
}


class Telemetry:
    """Exporters in memory, and the telemetry that they received."""

    def __init__(self) -> None:
        self.logs = InMemoryLogRecordExporter()
        self.logger_provider = LoggerProvider(shutdown_on_exit=False)
        self.logger_provider.add_log_record_processor(SimpleLogRecordProcessor(self.logs))
        self.finished = InMemorySpanExporter()
        self.tracer_provider = TracerProvider(shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self.finished))
        self.reader = InMemoryMetricReader()
        self.meter_provider = MeterProvider([self.reader], shutdown_on_exit=False)

    def hook(self, **options: Any) -> OpenTelemetryHook:
        return OpenTelemetryHook(
            tracer_provider=self.tracer_provider,
            meter_provider=self.meter_provider,
            logger_provider=self.logger_provider,
            **options,
        )

    @property
    def events(self) -> list[dict[str, Any]]:
        """Attributes of the log events."""
        records = [one.log_record for one in self.logs.get_finished_logs()]
        assert {record.event_name for record in records} <= {"feature_flag.evaluation"}
        return [dict(record.attributes or {}) for record in records]

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.finished.get_finished_spans())

    def metric(self, name: str) -> dict[tuple[tuple[str, Any], ...], Any]:
        """Return the value of each series of a metric, for a histogram its count."""
        data = self.reader.get_metrics_data()
        found = {}
        for resource in () if data is None else data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        for point in metric.data.data_points:
                            key = tuple(sorted((point.attributes or {}).items()))
                            found[key] = point.count if hasattr(point, "count") else point.value
        return found

    def dump(self) -> str:
        """Return all that was exported, as text."""
        data = self.reader.get_metrics_data()
        logs = [
            one.log_record.to_json() if hasattr(one.log_record, "to_json") else repr(one)
            for one in self.logs.get_finished_logs()
        ]
        return json.dumps(
            [self.events, logs, [one.to_json() for one in self.spans], data.to_json() if data else ""]
        )

    def close(self) -> None:
        self.logger_provider.shutdown()
        self.tracer_provider.shutdown()
        self.meter_provider.shutdown()


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    telemetry = Telemetry()
    yield telemetry
    telemetry.close()


@pytest.fixture
def target() -> Iterator[Target]:
    with Target() as target:
        yield target


@pytest.fixture(params=[Blocking, Looped], ids=["sync", "async"])
def make(request: pytest.FixtureRequest, target: Target) -> Iterator[Make]:
    """Return a factory of clients that have a hook, or none."""
    with client_factory(request.param, **reach(target), telemetry_enabled=False) as connect:
        yield lambda *hooks, **options: connect(hooks=hooks, **options)
