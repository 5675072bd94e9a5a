"""Metrics of clients: their names, attributes and values."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from typing import Any

import pytest

from e2e.client.target import DELIVERY, Target
from otel.conftest import ON_DEVICE, Make, Telemetry
from servers.faulty import answer, json_answer
from support.python_process import environment
from targetry import TargetClient
from targetry.errors import ApiException
from targetry.hooks import CallEnded, ClientHandle, Evaluation
from targetry.models import DecisioningMethod
from targetry.otel import OpenTelemetryHook
from targetry.otel.client_metrics import MOST_KEYS, ClientTotals
from targetry.testing import answer as fake_answer

HERO = {"execute": {"mboxes": [{"index": 0, "name": "hero"}]}}
NAMED: dict[str, Any] = {"client": "acme", "organization_id": "1@AdobeOrg", "telemetry_enabled": False}


def key(**attributes: Any) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted((name.replace("__", "."), value) for name, value in attributes.items()))


def test_evaluations_are_counted_by_key_variant_and_reason(make: Make, telemetry: Telemetry) -> None:
    any_client = make(telemetry.hook(), **ON_DEVICE)
    for _ in range(3):
        any_client.get_offers(request=HERO)
    any_client.flag("none", None, context={"targetingKey": "a"})
    assert telemetry.metric("targetry.evaluations") == {
        key(
            feature_flag__key="hero",
            feature_flag__result__variant="all",
            feature_flag__result__reason="static",
        ): 3,
        key(feature_flag__key="none", feature_flag__result__reason="default"): 1,
    }


def test_keys_beyond_the_limit_are_counted_together(telemetry: Telemetry) -> None:
    mboxes = [{"index": number, "name": f"mbox-{number}"} for number in range(MOST_KEYS + 50)]
    with TargetClient.create({**NAMED, **ON_DEVICE, "hooks": [telemetry.hook()]}) as client:
        for first in range(0, len(mboxes), 50):
            client.get_offers(request={"prefetch": {"mboxes": mboxes[first : first + 50]}})
    counted = telemetry.metric("targetry.evaluations")
    assert len(counted) == MOST_KEYS + 1
    assert counted[key(feature_flag__key="_other", feature_flag__result__reason="default")] == 50


def test_durations_are_recorded_by_method_and_error(make: Make, telemetry: Telemetry, target: Target) -> None:
    hook = telemetry.hook()
    make(hook, **ON_DEVICE).get_offers(request=HERO)
    any_client = make(hook)
    any_client.get_offers(request=HERO)
    target.on(DELIVERY, answer(500))
    with pytest.raises(ApiException):
        any_client.get_offers(request=HERO)
    assert telemetry.metric("targetry.decision.duration") == {
        key(targetry__decisioning_method="on-device"): 1,
        key(targetry__decisioning_method="server-side"): 1,
        key(targetry__decisioning_method="server-side", error__type="general"): 1,
    }


def test_durations_of_http_requests_are_recorded(make: Make, telemetry: Telemetry, target: Target) -> None:
    target.on(DELIVERY, answer(503, headers={"Retry-After": "0"}), json_answer({"status": 200}))
    make(telemetry.hook(spans="none")).get_offers(request=HERO)
    server = {"server__address": "127.0.0.1", "server__port": target.port, "http__request__method": "POST"}
    assert telemetry.metric("http.client.request.duration") == {
        key(**server, http__response__status_code=200): 1,
        key(**server, http__response__status_code=503, error__type="503"): 1,
    }
    assert telemetry.spans == []


def test_notifications_and_polls_are_observed(make: Make, telemetry: Telemetry, target: Target) -> None:
    options = {**ON_DEVICE, "artifact_payload": None}
    any_client = make(telemetry.hook(), **options, cdn_base_path=target.url)
    any_client.get_offers(request=HERO)
    assert any_client.flush()
    assert any_client.refresh_artifact().outcome == "unchanged"
    assert telemetry.metric("targetry.notifications") == {key(outcome="accepted"): 1, key(outcome="sent"): 1}
    assert telemetry.metric("targetry.notifications.pending") == {(): 0}
    assert telemetry.metric("targetry.artifact.polls") == {
        key(outcome="changed"): 1,
        key(outcome="unchanged"): 1,
    }
    (age,) = telemetry.metric("targetry.artifact.age").values()
    assert 0 <= age < 3600


def test_dropped_notifications_are_observed_with_their_reason(telemetry: Telemetry) -> None:
    gate = threading.Event()

    class Blocked:
        def send(self, *_: object, **__: object) -> Any:
            gate.wait(60)
            raise OSError

        def close(self) -> None: ...

    options: dict[str, Any] = {**NAMED, **ON_DEVICE, "notification_queue_limit": 2, "transport": Blocked()}
    client = TargetClient.create({**options, "hooks": [telemetry.hook()]})
    try:
        for _ in range(10):
            client.get_offers(request=HERO)
        observed = telemetry.metric("targetry.notifications")
        dropped = observed[key(outcome="dropped", reason="queue_full")]
        assert dropped > 0
        assert observed[key(outcome="accepted")] == 10
        (pending,) = telemetry.metric("targetry.notifications.pending").values()
        assert pending == 10 - dropped
    finally:
        gate.set()
        client.close(0)


def test_counts_of_a_client_remain_when_it_is_gone(telemetry: Telemetry) -> None:
    hook = telemetry.hook()
    for _ in range(2):
        given = {**NAMED, **ON_DEVICE, "hooks": [hook], "send_notification_func": None}
        with TargetClient.create(given | {"transport": Answering()}) as client:
            client.get_offers(request=HERO)
            assert client.flush(10)
            telemetry.metric("targetry.notifications")
        del client
        gc.collect()
    assert telemetry.metric("targetry.notifications")[key(outcome="sent")] == 2


class Answering:
    def send(self, *_: object, **__: object) -> Any:
        return fake_answer(status=204)

    def close(self) -> None: ...


def test_counts_begin_at_zero_in_a_forked_child() -> None:
    class Notifications:
        accepted, sent, pending = 5, 3, 0
        dropped: dict[str, int] = {}  # noqa: RUF012

    class Stats:
        notifications, artifact = Notifications, None

    totals = ClientTotals()
    living = ClientHandle("acme", DecisioningMethod.ON_DEVICE, lambda: Stats)
    gone = ClientHandle("acme", DecisioningMethod.ON_DEVICE, lambda: Stats)
    totals.add(living)
    totals.add(gone)
    assert sorted(one.value for one in totals.observations("targetry.notifications")) == [6, 10]
    del gone
    assert sorted(one.value for one in totals.observations("targetry.notifications")) == [6, 10]
    totals._pid = -1  # as in a child, whose living clients count from 0 themselves
    assert sorted(one.value for one in totals.observations("targetry.notifications")) == [3, 5]


def test_metrics_are_recorded_only_if_they_are_wanted(make: Make, telemetry: Telemetry) -> None:
    make(telemetry.hook(metrics=False), **ON_DEVICE).get_offers(request=HERO)
    data = telemetry.reader.get_metrics_data()
    assert data is None or data.resource_metrics == []


def test_hook_without_an_sdk_does_not_compute_evaluations() -> None:
    class Ended(CallEnded):
        @property
        def evaluations(self) -> list[Evaluation]:
            raise AssertionError

    hook = OpenTelemetryHook()
    hook.after_decision(Ended(kind="get_offers", method=DecisioningMethod.ON_DEVICE))


@pytest.mark.slow
def test_provider_that_is_set_after_the_hook_is_used() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LATE],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "1\n"


LATE = """
import time
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from targetry import TargetClient, samples
from targetry.otel import OpenTelemetryHook

with TargetClient.create(
    client="acme", organization_id="1@AdobeOrg", decisioning_method="on-device", artifact_payload=samples.shop(),
    polling_interval=0, send_notification_func=lambda _: None, hooks=[OpenTelemetryHook()],
) as client:
    def ask():
        client.get_offers(request={"execute": {"mboxes": [{"index": 0, "name": "hero"}]}})

    ask()
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([reader]))
    began = time.monotonic()
    while time.monotonic() - began < 30:
        ask()
        data = reader.get_metrics_data()
        found = [
            metric for resource in (data.resource_metrics if data is not None else ())
            for scope in resource.scope_metrics for metric in scope.metrics if metric.name == "targetry.evaluations"
        ]
        if found:
            break
    print(len(found))
"""
