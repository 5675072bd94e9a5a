"""Reports of decisions on device (F7): impressions, host, and counters."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from e2e.client.any_client import AnyClient, Connect
from e2e.client.conftest import sync_only
from e2e.client.listener import Listener
from e2e.client.target import DELIVERY, ORGANIZATION, Target, artifact, offers, query_of
from servers.faulty import HANG, Behaviour, Close, answer, html_answer, json_answer
from support.late import LATE_S
from targetry import (
    ApiException,
    AuthenticatedState,
    CustomerId,
    DeliveryRequest,
    ExecuteRequest,
    MboxRequest,
    ModelProperty,
    PrefetchRequest,
    RequestDetails,
    VisitorId,
)

HERO = DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="hero")]))
BUSY = answer(503, headers={"Retry-After": "0"})
FAR = 4_000_000_000
LEFT = 0.05  # timeout in seconds of a close that cannot send anything


@pytest.fixture
def decider(on_device: Connect) -> Connect:
    """Return a factory of clients with a payload artifact, whose only requests are reports."""

    def new(**options: Any) -> AnyClient:
        return on_device(**{"artifact_payload": artifact(), "polling_interval": 0, **options})

    return new


def checked_counters(client: AnyClient) -> Any:
    """Return the delivery counters, after a check that they add up."""
    stats = client.client.stats().notifications
    assert stats.accepted == stats.sent + stats.pending + sum(stats.dropped.values())
    return stats


def test_impression_is_reported_as_documented(decider: Connect, target: Target) -> None:
    client = decider(telemetry_enabled=False)
    before = int(time.time() * 1000)
    result = client.get_offers(request=HERO, session_id="s1")
    assert client.flush()
    (received,) = target.requests
    body = received.json()
    (notification,) = body.pop("notifications")
    assert notification.pop("id") != notification.pop("impressionId")
    assert before <= notification.pop("timestamp") <= time.time() * 1000
    assert notification == {"type": "display", "mbox": {"name": "hero"}, "tokens": ["token-hero-1"]}
    assert body.pop("requestId") != result["request"].request_id
    assert body == {
        "id": {"tntId": result["response"].id.tnt_id},
        "context": {
            "channel": "web",
            "timeOffsetInMinutes": result["request"].context.time_offset_in_minutes,
        },
        "experienceCloud": {"analytics": {"logging": "server_side"}},
    }
    assert (received.method, received.path) == ("POST", "/rest/v1/delivery")
    assert query_of(received) == {"imsOrgId": ORGANIZATION, "sessionId": "s1"}
    assert received.headers["x-exc-sdk"] == "AdobeTargetPython"
    assert received.headers["content-type"] == "application/json"
    assert len(received.headers["x-request-id"]) == 36


def test_report_has_session_cluster_property_environment_and_ids_of_its_decision(
    decider: Connect, target: Target
) -> None:
    client = decider(server_domain=None, proxy=target.url, environment_id=5, version="2.11")
    customer = CustomerId(
        id="c", integration_code="crm", authenticated_state=AuthenticatedState.AUTHENTICATED
    )
    request = DeliveryRequest(
        id=VisitorId(tnt_id="abc.28_0", customer_ids=[customer]),
        _property=ModelProperty(token="own"),
        execute=HERO.execute,
    )
    cookie = f"session#cookie-session#{FAR}|PC#other.28_0#{FAR}"
    result = client.get_offers(request=request, target_cookie=cookie, visitor_cookie="MCMID|1")
    assert client.flush()
    (received,) = target.requests
    body = received.json()
    assert received.target.startswith("http://mboxedge28.tt.omtrdc.net/rest/v1/delivery?")
    assert query_of(received)["sessionId"] == "cookie-session"
    assert query_of(received)["version"] == "2.11"
    assert body["property"] == {"token": "own"}
    assert body["environmentId"] == 5
    assert body["id"]["tntId"] == "abc.28_0"
    assert body["id"]["customerIds"][0]["id"] == "c"
    sdid = result["visitor_state"][ORGANIZATION]["sdid"]["supplementalDataIDCurrent"]
    assert body["experienceCloud"]["analytics"]["supplementalDataId"] == sdid


@pytest.mark.parametrize(
    ("request_", "tokens"),
    [
        (HERO, [["token-hero-1"]]),
        (
            DeliveryRequest(execute=ExecuteRequest(page_load=RequestDetails())),
            [["token-target-global-mbox-3"]],
        ),
        (
            DeliveryRequest(
                execute=ExecuteRequest(mboxes=[MboxRequest(name="hero"), MboxRequest(name="hero")])
            ),
            [["token-hero-1"]],
        ),
        (DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="roman")])), []),
        (DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="nowhere")])), []),
        (DeliveryRequest(prefetch=PrefetchRequest(mboxes=[MboxRequest(name="hero")])), []),
    ],
    ids=["mbox", "page", "the same mbox twice", "nothing matched", "unknown mbox", "prefetch"],
)
def test_only_shown_content_is_reported(
    request_: DeliveryRequest, tokens: list[list[str]], decider: Connect, target: Target
) -> None:
    client = decider()
    client.get_offers(request=request_)
    assert client.flush()
    assert [one["tokens"] for one in target.notifications] == tokens
    assert checked_counters(client).sent == len(tokens)


def test_hybrid_reports_only_on_device_decisions(decider: Connect, target: Target) -> None:
    client = decider(decisioning_method="hybrid")
    client.get_offers(request=HERO)
    client.get_offers(request=DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="far")])))
    assert client.flush()
    assert len(target.notifications) == 1
    assert checked_counters(client).accepted == 1


def test_close_sends_pending_reports(decider: Connect, target: Target) -> None:
    client = decider()
    for _ in range(20):
        client.get_offers(request=HERO)
    client.close()
    assert len({one["id"] for one in target.notifications}) == 20
    assert checked_counters(client).sent == 20


def test_reports_of_many_threads_are_sent_once(target: Target, decider: Connect) -> None:
    clients = [decider() for _ in range(3)]

    def decide(client: AnyClient) -> None:
        for _ in range(30):
            client.get_offers(request=HERO)

    threads = [threading.Thread(target=decide, args=[client]) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(client.flush() for client in clients)
    ids = [one["id"] for one in target.notifications]
    assert len(ids) == len(set(ids)) == 90
    assert [checked_counters(client).sent for client in clients] == [30, 30, 30]


@pytest.mark.parametrize(
    "fault",
    [
        BUSY,
        answer(500),
        answer(429, headers={"Retry-After": "0"}),
        (Close(reset=True),),
        (Close(),),
        html_answer(200),
    ],
    ids=["503", "500", "429", "reset", "closed", "HTML"],
)
def test_temporary_fault_loses_no_report(fault: Behaviour, decider: Connect, target: Target) -> None:
    target.on(DELIVERY, fault, offers)
    client = decider()
    client.get_offers(request=HERO)
    target.wait_for(1)
    assert client.flush()
    first, second = target.bodies
    assert first["notifications"] == second["notifications"]
    assert first["requestId"] == second["requestId"]
    assert (checked_counters(client).sent, checked_counters(client).retries) == (1, 1)


@pytest.mark.parametrize("status", [400, 403, 404, 413])
def test_rejected_report_is_counted_and_emitted(
    status: int, decider: Connect, target: Target, emitted: Listener
) -> None:
    target.on(DELIVERY, answer(status, b"no"))
    client = decider(events=emitted.handlers)
    client.get_offers(request=HERO)
    emitted.wait_for("send_notification_error")
    event = emitted.last("send_notification_error")
    assert isinstance(event.error, ApiException)
    assert event.error.status == status
    assert event.notification.notifications[0].tokens == ["token-hero-1"]
    assert checked_counters(client).dropped == {"rejected": 1}
    assert len(target.requests) == 1


def test_full_queue_drops_the_newest_and_emits_an_event(
    decider: Connect, target: Target, emitted: Listener
) -> None:
    target.on(DELIVERY, HANG)
    client = decider(notification_queue_limit=5, events=emitted.handlers)
    started = time.monotonic()
    for _ in range(50):
        client.get_offers(request=HERO)
    assert time.monotonic() - started < LATE_S
    stats = checked_counters(client)
    assert (stats.accepted, stats.pending, stats.dropped) == (50, 5, {"queue_full": 45})
    client.close(LEFT)
    assert checked_counters(client).dropped == {"queue_full": 45, "closed": 5}
    assert checked_counters(client).pending == 0
    target.stop()
    emitted.wait_for("notification_failed", 2)
    failed = [event for event in emitted.events if event["type"] == "notification_failed"]
    assert sum(event["count"] for event in failed) == 50


def test_flush_that_cannot_succeed_returns_false_in_time(decider: Connect, target: Target) -> None:
    target.on(DELIVERY, HANG)
    client = decider()
    client.get_offers(request=HERO)
    started = time.monotonic()
    assert client.flush(0.1) is False
    assert time.monotonic() - started < LATE_S
    assert checked_counters(client).pending == 1
    client.close(LEFT)


def test_close_that_cannot_send_ends_at_its_timeout(decider: Connect, target: Target) -> None:
    target.on(DELIVERY, HANG)
    client = decider()
    client.get_offers(request=HERO)
    started = time.monotonic()
    client.close(0.2)
    assert time.monotonic() - started < LATE_S
    assert checked_counters(client).dropped == {"closed": 1}


def test_response_without_the_ids_is_retried(decider: Connect, target: Target) -> None:
    target.on(DELIVERY, json_answer({"notifications": []}), offers)
    client = decider()
    client.get_offers(request=HERO)
    target.wait_for(1)
    assert client.flush()
    assert len(target.requests) == 2
    assert checked_counters(client).sent == 1


@sync_only
def test_spool_keeps_unsent_reports_for_the_next_process(
    decider: Connect, target: Target, tmp_path: Path
) -> None:
    target.on(DELIVERY, answer(503, headers={"Retry-After": "600"}))
    first = decider(notification_spool=tmp_path / "spool", notification_queue_limit=4)
    for _ in range(20):
        first.get_offers(request=HERO)
    assert not first.flush(0.05)
    first.close(0.2)
    lost = sum(checked_counters(first).dropped.values())
    assert checked_counters(first).pending == 20 - lost
    asked = len(target.requests)
    target.on(DELIVERY, offers)
    second = decider(notification_spool=tmp_path / "spool")
    target.wait_for(asked + 20 - lost)
    assert second.flush()
    assert checked_counters(second).recovered == checked_counters(second).sent == 20 - lost
    sent = [one["id"] for body in target.bodies[asked:] for one in body["notifications"]]
    assert len(set(sent)) == 20 - lost


@sync_only
@pytest.mark.parametrize("spool", ["/proc/nowhere", "{file}/below"], ids=["no such place", "below a file"])
def test_unwritable_spool_is_not_used(spool: str, decider: Connect, target: Target, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    client = decider(notification_spool=spool.format(file=file))
    client.get_offers(request=HERO)
    assert client.flush()
    assert checked_counters(client).sent == 1


def test_send_notification_func_gets_the_reports(decider: Connect, target: Target) -> None:
    reports: list[dict[str, Any]] = []
    client = decider(send_notification_func=reports.append)
    client.get_offers(request=HERO, visitor_cookie="MCMID|1")
    assert client.flush()
    (report,) = reports
    assert set(report) == {"request", "visitor"}
    assert report["request"].notifications[0].tokens == ["token-hero-1"]
    assert report["visitor"].get_state()[ORGANIZATION]["sdid"]
    assert target.requests == []
    assert checked_counters(client).accepted == 0


def test_failing_send_notification_func_does_not_affect_decisions(
    decider: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("no")

    client = decider(send_notification_func=broken)
    assert client.get_offers(request=HERO)["response"].status == 200
    assert "send_notification_func failed: RuntimeError('no')" in caplog.messages
