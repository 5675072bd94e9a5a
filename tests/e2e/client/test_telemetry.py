"""Telemetry, sent with the next Delivery API request."""

from __future__ import annotations

import time
from typing import Any

import pytest

from e2e.client.any_client import Connect
from e2e.client.target import DELIVERY, Target, query_of, response_to
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
    VisitorId,
)

LOOK = DeliveryRequest(
    request_id="r1",
    id=VisitorId(tnt_id="t.28_0"),
    prefetch=PrefetchRequest(mboxes=[MboxRequest(name="hero")]),
)
HERO = DeliveryRequest(request_id="r1", execute=ExecuteRequest(mboxes=[MboxRequest(name="hero")]))
CLICK = {"notifications": [{"id": "n", "timestamp": 1, "type": "click"}]}


def entries(body: dict[str, Any]) -> list[dict[str, Any]]:
    return list(body.get("telemetry", {}).get("entries", ()))


def with_token(received: Received) -> Steps:
    return json_answer({**response_to(received.json()), "telemetryServerToken": "TST"})


def test_telemetry_of_a_call_is_sent_with_the_next(connect: Connect, target: Target) -> None:
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


def test_telemetry_counts_the_requested_locations(connect: Connect, target: Target) -> None:
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


def test_entries_of_the_caller_come_first(connect: Connect, target: Target) -> None:
    client = connect()
    client.get_offers(request=HERO)
    own = Telemetry(entries=[TelemetryEntry(request_id="mine", timestamp=1)])
    client.send_notifications(request=DeliveryRequest(telemetry=own))
    assert [entry["requestId"] for entry in entries(target.bodies[1])] == ["mine", "r1"]
    assert own == Telemetry(entries=[TelemetryEntry(request_id="mine", timestamp=1)])


def test_opted_out_client_has_no_telemetry(connect: Connect, target: Target) -> None:
    client = connect(telemetry_enabled=False)
    for _ in range(3):
        client.get_offers(request=HERO)
    assert all("telemetry" not in body for body in target.bodies)


def test_failed_call_has_no_telemetry(connect: Connect, target: Target) -> None:
    target.on(DELIVERY, answer(400), json_answer({}))
    client = connect()
    with pytest.raises(ApiException):
        client.get_offers(request=HERO)
    client.get_offers(request=HERO)
    assert "telemetry" not in target.bodies[1]


def test_two_clients_send_telemetry_of_their_own_calls(connect: Connect, target: Target) -> None:
    one, other = connect(), connect()
    one.get_offers(request=HERO)
    other.get_offers(request=HERO)
    assert all("telemetry" not in body for body in target.bodies)


@pytest.mark.parametrize(
    "fault", [answer(500), (Close(),), json_answer({"id": 7})], ids=["500", "closed", "no answer of the API"]
)
def test_telemetry_of_a_failed_call_is_sent_with_the_next(
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


def test_telemetry_of_a_rejected_call_is_dropped_and_counted(connect: Connect, target: Target) -> None:
    client = connect()
    client.get_offers(request=HERO)
    target.on(DELIVERY, answer(400))
    with pytest.raises(ApiException):
        client.get_offers(request=HERO)
    target.on(DELIVERY, with_token)
    client.send_notifications(request=CLICK)
    assert entries(target.bodies[-1]) == []
    assert client.client.stats().telemetry_dropped == 1


@pytest.mark.parametrize("end", ["flush", "close"])
def test_telemetry_of_on_device_prefetches_is_sent_at_the_end(
    end: str, on_device: Connect, target: Target
) -> None:
    client = on_device()
    client.get_offers(request=LOOK, session_id="s1", customer_ids={"crm": "c1"}, visitor_cookie="MCMID|1")
    assert target.bodies == []
    getattr(client, end)()
    (body,) = target.bodies
    download, look = entries(body)
    assert download["requestId"] == "ArtifactDownload"
    assert (look["requestId"], look["mode"]) == ("r1", "local")
    assert look["features"] == {"decisioningMethod": "on-device", "prefetchMboxCount": 1}
    assert set(body) == {"requestId", "id", "context", "telemetry"}
    assert body["id"]["tntId"] == "t.28_0"
    assert query_of(target.requests_to()[0])["sessionId"] == "s1"
    stats = client.client.stats()
    assert (stats.telemetry_dropped, stats.notifications.accepted) == (0, 0)


def test_telemetry_of_a_hundred_prefetches_is_sent_at_once(on_device: Connect, target: Target) -> None:
    client = on_device()
    for _ in range(99):  # plus the download of the artifact
        client.get_offers(request=LOOK)
    target.wait_for(1)
    assert len(entries(target.bodies[0])) == 100


def test_telemetry_is_sent_with_impressions(on_device: Connect, target: Target) -> None:
    client = on_device()
    client.get_offers(request=LOOK)
    client.get_offers(request=HERO)
    assert client.flush()
    client.close()
    (body,) = target.bodies
    assert len(body["notifications"]) == 1
    assert [entry["requestId"] for entry in entries(body)] == ["ArtifactDownload", "r1", "r1"]


def test_opted_out_client_sends_nothing_for_prefetches(on_device: Connect, target: Target) -> None:
    client = on_device(telemetry_enabled=False)
    for _ in range(101):
        client.get_offers(request=LOOK)
    assert client.flush()
    client.close()
    assert target.bodies == []


def test_send_notification_func_gets_telemetry(on_device: Connect, target: Target) -> None:
    reports: list[dict[str, Any]] = []
    client = on_device(send_notification_func=reports.append)
    client.get_offers(request=LOOK)
    client.close()
    (report,) = reports
    assert report["request"].notifications is None
    assert [entry.request_id for entry in report["request"].telemetry.entries] == ["ArtifactDownload", "r1"]
    assert target.bodies == []


def test_server_side_call_is_not_followed_by_a_telemetry_request(connect: Connect, target: Target) -> None:
    client = connect()
    client.get_offers(request=HERO)
    assert client.flush()
    client.close()
    assert len(target.bodies) == 1
