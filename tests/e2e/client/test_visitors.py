"""Identity of a visitor: cookies, session ids, ECID, customer ids, SDID."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from e2e.client.any_client import Connect
from e2e.client.target import DELIVERY, ORGANIZATION, Target, offers, query_of
from servers.faulty import answer, json_answer
from targetry import (
    AnalyticsRequest,
    ApiException,
    AuthenticatedState,
    CustomerId,
    DeliveryRequest,
    ExecuteRequest,
    ExperienceCloud,
    MboxRequest,
    Visitor,
    VisitorId,
)

HERO = DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="hero")]))
FAR = 4_000_000_000
SDID = re.compile(r"[0-9A-F]{16}-[0-9A-F]{16}")
AMCV = "-1124106680%7CMCIDTS%7C18290%7CMCMID%7C09327508673921046789%7CMCAAMLH-1580000000%7C9%7CMCAAMB-1580000000%7Cblob"
CUSTOMER = CustomerId(id="c1", integration_code="crm", authenticated_state=AuthenticatedState.AUTHENTICATED)
CUSTOMER_BODY = {"id": "c1", "integrationCode": "crm", "authenticatedState": "authenticated"}


def session_of(target: Target, number: int = 0) -> str:
    return query_of(target.requests[number])["sessionId"]


@pytest.mark.parametrize(
    ("call", "session"),
    [
        ({"target_cookie": f"session#cookie#{FAR}", "session_id": "call"}, "cookie"),
        ({"target_cookie": f"session#coo%6Bie#{FAR}"}, "cookie"),
        ({"target_cookie": f"session%23cookie%23{FAR}"}, "cookie"),
        ({"target_cookie": "session#old#1", "session_id": "call"}, "call"),
        ({"target_cookie": f"session#not valid/#{FAR}", "session_id": "call"}, "call"),
        ({"target_cookie": "\x00garbage|#|##", "session_id": "call"}, "call"),
        ({"session_id": "call"}, "call"),
    ],
    ids=[
        "cookie before option",
        "encoded cookie",
        "wholly encoded cookie",
        "expired cookie",
        "cookie with an impossible id",
        "garbage",
        "option",
    ],
)
def test_session_id_is_that_of_the_cookie_or_the_caller(
    call: dict[str, Any], session: str, connect: Connect, target: Target
) -> None:
    result = connect().get_offers(request=HERO, **call)
    assert session_of(target) == session
    assert result["target_cookie"]["value"].startswith(f"session#{session}#")


def test_calls_without_a_session_id_get_new_ones(connect: Connect, target: Target) -> None:
    client = connect()
    results = [client.get_offers(request=HERO, session_id=given) for given in (None, "")]
    assert session_of(target, 0) != session_of(target, 1)
    assert results[0]["target_cookie"]["value"].startswith(f"session#{session_of(target)}#")


def test_visitor_with_a_cookie_keeps_the_tnt_id(connect: Connect, target: Target) -> None:
    target.on(DELIVERY, json_answer({"id": {"tntId": "8f9b2c"}}), offers)
    client = connect()
    first = client.get_offers(request=HERO)["target_cookie"]["value"]
    second = client.get_offers(request=HERO, target_cookie=first, session_id="other")["target_cookie"][
        "value"
    ]
    assert session_of(target, 0) == session_of(target, 1)
    assert target.bodies[1]["id"] == {"tntId": "8f9b2c"}
    assert [part.rpartition("#")[0] for part in first.split("|")] == [
        part.rpartition("#")[0] for part in second.split("|")
    ]


def test_parts_of_the_cookie_have_their_expiry(connect: Connect) -> None:
    before = time.time()
    value = connect().get_offers(request=HERO, session_id="s1")["target_cookie"]["value"]
    session, device = (int(part.rpartition("#")[2]) for part in value.split("|"))
    assert 0 <= session - 1860 - before <= 12  # rounded up, with some seconds for a busy machine
    assert device - session == 63_244_800 - 1860


def test_tnt_id_of_the_request_takes_precedence_over_the_cookie(connect: Connect, target: Target) -> None:
    request = DeliveryRequest(id=VisitorId(tnt_id="mine.28_0"), execute=HERO.execute)
    connect().get_offers(request=request, target_cookie=f"PC#cookies#{FAR}")
    assert target.bodies[0]["id"] == {"tntId": "mine.28_0"}


@pytest.mark.parametrize(
    "customer_ids",
    [[CUSTOMER], {"crm": {"id": "c1", "authState": 1}}, {"crm": {"id": "c1", "authState": "1"}}],
    ids=["models", "mapping", "mapping of texts"],
)
def test_customer_ids_option_precedes_those_of_the_request(
    customer_ids: Any, connect: Connect, target: Target
) -> None:
    own = CustomerId(id="o", integration_code="own", authenticated_state=AuthenticatedState.UNKNOWN)
    request = DeliveryRequest(id=VisitorId(third_party_id="tp", customer_ids=[own]), execute=HERO.execute)
    result = connect().get_offers(request=request, customer_ids=customer_ids)
    assert target.bodies[0]["id"]["customerIds"] == [
        CUSTOMER_BODY,
        {"id": "o", "integrationCode": "own", "authenticatedState": "unknown"},
    ]
    assert result["visitor_state"][ORGANIZATION]["customerIDs"]["crm"]["id"] == "c1"


def test_customer_ids_without_any_other_id_are_sent_and_without_an_sdid(
    connect: Connect, target: Target
) -> None:
    client = connect()
    result = client.get_offers(request=HERO, customer_ids=[CUSTOMER])
    client.get_offers(request=HERO, customer_ids=[CUSTOMER], consumer_id="first", visitor_cookie=None)
    assert [body["id"] for body in target.bodies] == [{"customerIds": [CUSTOMER_BODY]}] * 2
    assert [body["experienceCloud"] for body in target.bodies] == [
        {"analytics": {"logging": "server_side"}}
    ] * 2
    assert result["visitor_state"] == {ORGANIZATION: {"customerIDs": {"crm": {"id": "c1", "authState": 1}}}}


def test_amcv_cookie_sets_ecid_region_blob_and_an_sdid(connect: Connect, target: Target) -> None:
    result = connect().get_offers(request=HERO, visitor_cookie=AMCV)
    body = target.bodies[0]
    assert body["id"] == {"marketingCloudVisitorId": "09327508673921046789"}
    assert body["experienceCloud"]["audienceManager"] == {"locationHint": 9, "blob": "blob"}
    sdid = body["experienceCloud"]["analytics"]["supplementalDataId"]
    assert SDID.fullmatch(sdid)
    assert result["visitor_state"][ORGANIZATION]["sdid"]["supplementalDataIDCurrent"] == sdid


@pytest.mark.parametrize(
    "options",
    [{"visitor_cookie": None}, {"visitor_cookie": ""}, {"consumer_id": "first"}],
    ids=lambda options: str(options),
)
def test_no_sdid_without_a_visitor_cookie_or_object(
    options: dict[str, Any], connect: Connect, target: Target
) -> None:
    client = connect()
    result = client.get_offers(request=HERO, **options)
    client.send_notifications(
        request={"notifications": [{"id": "n", "type": "click", "timestamp": 1}]}, **options
    )
    assert [body["experienceCloud"] for body in target.bodies] == [
        {"analytics": {"logging": "server_side"}}
    ] * 2
    assert result["visitor_state"] is None


def test_on_device_reports_have_customer_ids_and_no_sdid(on_device: Connect, target: Target) -> None:
    client = on_device(telemetry_enabled=False)
    client.get_offers(request=HERO, customer_ids=[CUSTOMER], consumer_id="first")
    assert client.flush()
    (body,) = target.bodies
    assert body["id"]["customerIds"] == [CUSTOMER_BODY]
    assert body["experienceCloud"] == {"analytics": {"logging": "server_side"}}


def test_no_sdid_and_no_state_without_a_visitor(connect: Connect, target: Target) -> None:
    result = connect().get_offers(request=HERO)
    assert target.bodies[0]["experienceCloud"] == {"analytics": {"logging": "server_side"}}
    assert result["visitor_state"] is None


def test_sdid_of_the_caller_is_sent_unchanged(connect: Connect, target: Target) -> None:
    sdid = "0123456789ABCDEF-0123456789ABCDEF"
    analytics = AnalyticsRequest(supplemental_data_id=sdid, tracking_server="metrics.acme.example")
    request = DeliveryRequest(experience_cloud=ExperienceCloud(analytics=analytics), execute=HERO.execute)
    connect().get_offers(request=request, visitor_cookie=AMCV)
    assert target.bodies[0]["experienceCloud"]["analytics"] == {
        "logging": "server_side",
        "supplementalDataId": sdid,
        "trackingServer": "metrics.acme.example",
    }


def test_consumers_share_an_sdid_until_one_requests_it_again(connect: Connect, target: Target) -> None:
    client, visitor = connect(), Visitor(ORGANIZATION)
    for consumer in ("a", "b", "a", "b"):
        client.get_offers(request=HERO, visitor=visitor, consumer_id=consumer)
    ids = [body["experienceCloud"]["analytics"]["supplementalDataId"] for body in target.bodies]
    assert ids[0] == ids[1] != ids[2] == ids[3]


class ForeignVisitor:
    """A visitor with the interface of the official package's."""

    def __init__(self) -> None:
        self.consumers: list[str] = []
        self.state = {ORGANIZATION: {"customer_ids": {"crm": {"id": "c1", "authState": "1"}}}}

    def get_visitor_values(self) -> dict[str, str]:
        return {"MCMID": "123", "MCAAMLH": "9", "MCAAMB": "blob"}

    def get_state(self) -> dict[str, Any]:
        return self.state

    def get_supplemental_data_id(self, consumer_id: str) -> str:
        self.consumers.append(consumer_id)
        return "0123456789ABCDEF-0123456789ABCDEF"


def test_custom_visitor_is_used(connect: Connect, target: Target) -> None:
    visitor = ForeignVisitor()
    result = connect().get_offers(request=HERO, visitor=visitor, visitor_cookie="ignored")
    body = target.bodies[0]
    assert body["id"] == {"marketingCloudVisitorId": "123", "customerIds": [CUSTOMER_BODY]}
    assert body["experienceCloud"]["analytics"]["supplementalDataId"] == "0123456789ABCDEF-0123456789ABCDEF"
    assert visitor.consumers == ["target-global-mbox"]
    assert result["visitor_state"] is visitor.state


def test_retried_call_requests_no_second_sdid(connect: Connect, target: Target) -> None:
    visitor = ForeignVisitor()
    target.on(DELIVERY, answer(503), answer(503), answer(204))
    connect().get_offers(request=HERO, visitor=visitor)
    assert len(visitor.consumers) == 1
    assert target.bodies[0] == target.bodies[1] == target.bodies[2]


def fails(name: str) -> Callable[..., Any]:
    def method(*_: object) -> Any:
        raise RuntimeError(name)

    return method


@pytest.mark.parametrize("name", ["get_visitor_values", "get_state", "get_supplemental_data_id"])
def test_error_of_a_custom_visitor_is_raised_unchanged(name: str, connect: Connect) -> None:
    """Check that the error is neither hidden nor treated as a network error."""
    visitor = ForeignVisitor()
    setattr(visitor, name, fails(name))
    with pytest.raises(RuntimeError, match=name) as caught:
        connect().get_offers(request=HERO, visitor=visitor)
    assert not isinstance(caught.value, ApiException)
