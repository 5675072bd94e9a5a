"""Retries: retried calls, number of attempts, and the limit by the call's timeout."""

from __future__ import annotations

import time

import pytest

from e2e.client.any_client import Connect
from e2e.client.target import DELIVERY, Target
from servers.faulty import HANG, Behaviour, Close, answer, half, json_answer
from servers.threaded import unused_port
from support.late import LATE_S
from targetry import ApiException, DeadlineError, DeliveryRequest, ExecuteRequest, MboxRequest, TransportError

HERO = DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="hero")]))
OK = json_answer({"status": 200})
BAD = answer(503, headers={"Retry-After": "0"})


@pytest.mark.parametrize("status", [502, 503, 504])
def test_gateway_error_is_retried_twice(status: int, connect: Connect, target: Target) -> None:
    target.on(DELIVERY, answer(status), answer(status), OK)
    assert connect().get_offers(request=HERO)["response"].status == 200
    assert len(target.requests) == 3


def test_third_failed_attempt_raises_its_response(connect: Connect, target: Target) -> None:
    target.on(DELIVERY, answer(502), answer(504), answer(503, b"busy"), OK)
    with pytest.raises(ApiException) as caught:
        connect().get_offers(request=HERO)
    assert (caught.value.status, caught.value.body) == (503, "busy")
    assert len(target.requests) == 3


def test_retry_sends_the_same_request_with_the_same_ids(connect: Connect, target: Target) -> None:
    target.on(DELIVERY, BAD, OK)
    connect().get_offers(request=HERO)
    first, second = target.requests
    assert first.body == second.body
    assert first.headers["x-request-id"] == second.headers["x-request-id"]
    assert first.target == second.target


def test_retry_after_is_honored(connect: Connect, target: Target) -> None:
    target.on(DELIVERY, answer(503, headers={"Retry-After": "1"}), OK)
    started = time.monotonic()
    connect().get_offers(request=HERO)
    assert time.monotonic() - started >= 1


def test_retry_after_beyond_the_timeout_raises_at_once(connect: Connect, target: Target) -> None:
    target.on(DELIVERY, answer(503, headers={"Retry-After": "3600"}), OK)
    started = time.monotonic()
    with pytest.raises(ApiException, match="503"):
        connect(timeout=60_000).get_offers(request=HERO)
    assert time.monotonic() - started < LATE_S
    assert len(target.requests) == 1


def test_refused_connection_is_retried_within_the_timeout(connect: Connect) -> None:
    client = connect(server_domain=f"127.0.0.1:{unused_port()}", timeout=5000)
    with pytest.raises(TransportError, match="refused") as caught:
        client.get_offers(request=HERO)
    assert not isinstance(caught.value, DeadlineError)


@pytest.mark.parametrize(
    "behaviour",
    [half(OK, Close()), half(OK, Close(reset=True)), (Close(),), HANG],
    ids=["cut short", "reset", "closed", "silence"],
)
def test_request_that_may_have_been_processed_is_not_retried(
    behaviour: Behaviour, connect: Connect, target: Target
) -> None:
    target.on(DELIVERY, behaviour)
    with pytest.raises(TransportError):
        connect(timeout=1000).get_offers(request=HERO)
    assert len(target.requests) == 1


def test_idle_connection_closed_by_the_server_is_replaced(connect: Connect, target: Target) -> None:
    client = connect()
    target.on(DELIVERY, (*OK, Close()), OK)
    client.get_offers(request=HERO)
    assert client.get_offers(request=HERO)["response"].status == 200
    assert target.connections == 2


def test_retries_of_a_failing_service_stay_within_their_budget(connect: Connect, target: Target) -> None:
    """Check the retry budget: ten retries in advance, then one per ten successes."""
    target.on(DELIVERY, BAD)
    client = connect(timeout=60_000)
    calls = 12
    for _ in range(calls):
        with pytest.raises(ApiException, match="503"):
            client.get_offers(request=HERO)
    assert len(target.requests) == calls + 10


def test_successes_earn_retries(connect: Connect, target: Target) -> None:
    target.on(DELIVERY, BAD)
    client = connect(timeout=60_000)
    for _ in range(6):
        with pytest.raises(ApiException):
            client.get_offers(request=HERO)
    target.on(DELIVERY, OK)
    for _ in range(11):
        client.get_offers(request=HERO)
    target.on(DELIVERY, BAD, OK)
    assert client.get_offers(request=HERO)["response"].status == 200


def test_timeout_covers_all_attempts(connect: Connect, target: Target) -> None:
    target.on(DELIVERY, BAD, BAD, HANG)
    started = time.monotonic()
    with pytest.raises(DeadlineError):
        connect(timeout=1500).get_offers(request=HERO)
    assert time.monotonic() - started < LATE_S


@pytest.mark.parametrize("timeout", [20, 50])
def test_short_timeout_is_honored(timeout: int, connect: Connect, target: Target) -> None:
    target.on(DELIVERY, HANG)
    with pytest.raises(DeadlineError):
        connect(timeout=timeout).get_offers(request=HERO)
