"""Telemetry entries: storing, sending and counting them."""

from __future__ import annotations

import json
import threading
from typing import Any

from support.cases import each_case
from targetry.delivery.telemetry import (
    ARTIFACT_DOWNLOAD,
    MAX_ENTRIES,
    TelemetryStore,
    artifact_entry,
    measure_call,
)
from targetry.models import DecisioningMethod, DeliveryRequest, DeliveryResponse, Telemetry, TelemetryEntry


def entry(number: int) -> TelemetryEntry:
    return TelemetryEntry(request_id=str(number))


def attached(store: TelemetryStore, request: DeliveryRequest | None = None) -> list[str | None] | None:
    """Return the ids of the entries of a request, None without telemetry."""
    request = request or DeliveryRequest()
    store.attach(request)
    if request.telemetry is None:
        return None
    return [one.request_id for one in request.telemetry.entries or ()]


def test_entries_are_sent_once_with_the_next_request() -> None:
    store = TelemetryStore(enabled=True)
    store.add(entry(1))
    store.add(entry(2))
    assert len(store) == 2
    assert attached(store) == ["1", "2"]
    assert len(store) == 0
    assert attached(store) is None


def test_request_keeps_the_entries_that_it_has() -> None:
    store = TelemetryStore(enabled=True)
    store.add(entry(2))
    own = Telemetry([entry(1)])
    request = DeliveryRequest(telemetry=own)
    assert attached(store, request) == ["1", "2"]
    assert own == Telemetry([entry(1)])  # which may be the caller's
    assert attached(store, DeliveryRequest(telemetry=own)) == ["1"]
    store.add(entry(3))
    assert attached(store, DeliveryRequest(telemetry=Telemetry())) == ["3"]


def test_forget_removes_all_entries() -> None:
    store = TelemetryStore(enabled=True)
    for number in range(MAX_ENTRIES + 1):
        store.add(entry(number))
    store.clear()
    assert (len(store), store.dropped) == (0, 0)
    assert attached(store) is None


def test_oldest_entries_are_evicted_and_counted() -> None:
    store = TelemetryStore(enabled=True)
    for number in range(MAX_ENTRIES + 3):
        store.add(entry(number))
    assert MAX_ENTRIES == 1000
    assert (len(store), store.dropped) == (MAX_ENTRIES, 3)
    ids = attached(store)
    assert ids is not None
    assert (ids[0], ids[-1]) == ("3", str(MAX_ENTRIES + 2))


def test_each_entry_is_sent_with_one_request() -> None:
    store = TelemetryStore(enabled=True)
    for number in range(MAX_ENTRIES):
        store.add(entry(number))
    taken: list[Any] = []

    def take() -> None:
        taken.extend(attached(store) or ())

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(taken, key=int) == [str(number) for number in range(MAX_ENTRIES)]


def test_returned_entries_precede_newer_ones_and_the_oldest_are_evicted() -> None:
    store = TelemetryStore(enabled=True)
    for number in range(3):
        store.add(entry(number))
    taken = store.attach(DeliveryRequest())
    for number in range(3, MAX_ENTRIES + 1):
        store.add(entry(number))
    store.put_back(taken)
    assert store.dropped == 1
    assert attached(store) == [str(number) for number in range(1, MAX_ENTRIES + 1)]
    store.count_dropped(taken)
    assert store.dropped == 4


FEATURES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"execute": {"mboxes": [{"name": "a"}]}}, {"executeMboxCount": 1}),
    (
        {"execute": {"mboxes": [{"name": "a"}, {"name": "b"}], "pageLoad": {}}},
        {"executeMboxCount": 2, "executePageLoad": True},
    ),
    ({"execute": {"pageLoad": {}}}, {"executePageLoad": True}),
    ({"execute": {"mboxes": []}}, {}),
    ({"prefetch": {"mboxes": [{"name": "a"}]}}, {"prefetchMboxCount": 1}),
    ({"prefetch": {"pageLoad": {}}}, {"prefetchPageLoad": True}),
    ({"prefetch": {"views": [{}, {"name": "x"}]}}, {"prefetchViewCount": 2}),
    (
        {"execute": {"pageLoad": {}}, "prefetch": {"pageLoad": {}, "views": [{}], "mboxes": [{"name": "a"}]}},
        {"executePageLoad": True, "prefetchPageLoad": True, "prefetchViewCount": 1, "prefetchMboxCount": 1},
    ),
]


@each_case("request_, features", FEATURES)
@each_case("method", list(DecisioningMethod))
def test_entry_of_a_call_counts_the_requested_locations(
    request_: dict[str, Any], features: dict[str, Any], method: DecisioningMethod
) -> None:
    request = DeliveryRequest.from_dict({"requestId": "mine", **request_})
    measurement = measure_call(request, DeliveryResponse(), method, 1_585_098_300_000, 1.23456)
    request.request_id = "another"
    assert json.loads(measurement.entry().to_json()) == {
        "requestId": "mine",
        "timestamp": 1585098300000,
        "mode": "local",
        "execution": 1.23,
        "features": {"decisioningMethod": method.value, **features},
    }


def test_entry_has_mode_and_token_of_a_response_of_an_edge() -> None:
    response = DeliveryResponse(edge_host="mboxedge28.tt.omtrdc.net", telemetry_server_token="TST")
    measurement = measure_call(DeliveryRequest(), response, DecisioningMethod.SERVER_SIDE, 1, 2.0)
    wire = json.loads(measurement.entry().to_json())
    assert (wire["mode"], wire["telemetryServerToken"]) == ("edge", "TST")


def test_measurement_becomes_an_entry_when_a_request_sends_it() -> None:
    store = TelemetryStore(enabled=True)
    store.add(entry(1))
    store.add(
        measure_call(DeliveryRequest(request_id="2"), DeliveryResponse(), DecisioningMethod.ON_DEVICE, 1, 2.0)
    )
    assert attached(store) == ["1", "2"]


def test_artifact_download_has_an_entry() -> None:
    made = artifact_entry(timestamp=1, execution_ms=12.3456, response_size=1234)
    assert json.loads(made.to_json()) == {
        "requestId": "ArtifactDownload",
        "timestamp": 1,
        "execution": 12.35,
        "request": {"responseSize": 1234},
    }
    assert ARTIFACT_DOWNLOAD == "ArtifactDownload"
