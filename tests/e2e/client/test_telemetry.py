"""Telemetry rides along with the next Delivery API request (spec/decisioning.md §10, D-24 and D-51)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from e2e.client.conftest import Connect
from e2e.client.target import DELIVERY, Target, response_to
from servers.faulty import Close, Received, Steps, answer, json_answer
from targetry import (
    ApiException,
    DeliveryRequest,
    ExecuteRequest,
    MboxRequest,
    PrefetchRequest,
    RequestDetails,
    Telemetry,
    TelemetryEntry,
    ViewRequest,
)

HERO = DeliveryRequest(request_id="r1", execute=ExecuteRequest(mboxes=[MboxRequest(name="hero")]))
CLICK = {"notifications": [{"id": "n", "timestamp": 1, "type": "click"}]}


def entries(body: dict[str, Any]) -> list[dict[str, Any]]:
    return list(body.get("telemetry", {}).get("entries", ()))


def with_token(received: Received) -> Steps:
    return json_answer({**response_to(received.json()), "telemetryServerToken": "TST"})


def test_a_call_is_measured_and_told_with_the_next(connect: Connect, target: Target) -> None:
    target.on(DELIVERY, with_token)
    client = connect()
    before = time.time() * 1000
    client.get_offers(request=HERO)
    client.send_notifications(request=CLICK)
    client.send_notifications(request=CLICK)
    first, second, third = target.bodies
    assert "telemetry" not in first
    (entry,) = entries(second)
    assert before - 1 <= entry.pop("timestamp") <= time.time() * 1000
    assert 0 < entry.pop("execution") < 60_000
    assert entry == {
        "requestId": "r1",
        "mode": "edge",
        "features": {"decisioningMethod": "server-side", "executeMboxCount": 1},
        "telemetryServerToken": "TST",
    }
    (own,) = entries(third)
    assert own["requestId"] == second["requestId"]
    assert own["features"] == {"decisioningMethod": "server-side"}


def test_what_was_asked_for_is_counted(connect: Connect, target: Target) -> None:
    everything = DeliveryRequest(
        execute=ExecuteRequest(page_load=RequestDetails(), mboxes=[MboxRequest(name="a")]),
        prefetch=PrefetchRequest(
            page_load=RequestDetails(),
            mboxes=[MboxRequest(name="a"), MboxRequest(name="b")],
            views=[ViewRequest(), ViewRequest(), ViewRequest()],
        ),
    )
    client = connect()
    client.get_offers(request=everything)
    client.send_notifications(request=CLICK)
    assert entries(target.bodies[1])[0]["features"] == {
        "decisioningMethod": "server-side",
        "executePageLoad": True,
        "executeMboxCount": 1,
        "prefetchPageLoad": True,
        "prefetchMboxCount": 2,
        "prefetchViewCount": 3,
    }


def test_the_callers_own_entries_stay_in_front(connect: Connect, target: Target) -> None:
    client = connect()
    client.get_offers(request=HERO)
    own = Telemetry(entries=[TelemetryEntry(request_id="mine", timestamp=1)])
    client.send_notifications(request=DeliveryRequest(telemetry=own))
    assert [entry["requestId"] for entry in entries(target.bodies[1])] == ["mine", "r1"]
    assert own == Telemetry(entries=[TelemetryEntry(request_id="mine", timestamp=1)])


def test_who_opts_out_is_not_measured(connect: Connect, target: Target) -> None:
    client = connect(telemetry_enabled=False)
    for _ in range(3):
        client.get_offers(request=HERO)
    assert all("telemetry" not in body for body in target.bodies)


def test_a_call_that_failed_is_not_measured(connect: Connect, target: Target) -> None:
    target.on(DELIVERY, answer(400), json_answer({}))
    client = connect()
    with pytest.raises(ApiException):
        client.get_offers(request=HERO)
    client.get_offers(request=HERO)
    assert "telemetry" not in target.bodies[1]


def test_two_clients_tell_apart(connect: Connect, target: Target) -> None:
    one, other = connect(), connect()
    one.get_offers(request=HERO)
    other.get_offers(request=HERO)
    assert all("telemetry" not in body for body in target.bodies)


@pytest.mark.parametrize(
    "fault", [answer(500), (Close(),), json_answer({"id": 7})], ids=["500", "closed", "no answer of the API"]
)
def test_what_a_failed_call_took_along_goes_with_the_next(
    fault: Steps, connect: Connect, target: Target
) -> None:
    client = connect()
    client.get_offers(request=HERO)
    target.on(DELIVERY, fault)
    with pytest.raises(ApiException):
        client.get_offers(request=HERO)
    target.on(DELIVERY, with_token)
    client.send_notifications(request=CLICK)
    assert [entry["requestId"] for entry in entries(target.bodies[-1])] == ["r1"]
    assert client.client.stats().telemetry_dropped == 0
    client.send_notifications(request=CLICK)
    assert [entry["requestId"] for entry in entries(target.bodies[-1])] == [target.bodies[-2]["requestId"]]


def test_what_a_refused_call_took_along_is_counted_and_spoils_no_other(
    connect: Connect, target: Target
) -> None:
    client = connect()
    client.get_offers(request=HERO)
    target.on(DELIVERY, answer(400))
    with pytest.raises(ApiException):
        client.get_offers(request=HERO)
    target.on(DELIVERY, with_token)
    client.send_notifications(request=CLICK)
    assert entries(target.bodies[-1]) == []
    assert client.client.stats().telemetry_dropped == 1
