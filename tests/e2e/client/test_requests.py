"""Requests to the Delivery API: request line, headers, and the fields of the body."""

from __future__ import annotations

import json
import math
import re
import time
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from e2e.client.any_client import Connect
from e2e.client.target import ORGANIZATION, Target, query_of
from targetry import (
    AnalyticsRequest,
    AudienceManager,
    ChannelType,
    Context,
    CustomerId,
    DeliveryRequest,
    ExecuteRequest,
    ExperienceCloud,
    Geo,
    LoggingType,
    MboxRequest,
    MetricType,
    ModelProperty,
    Notification,
    OptionError,
    Order,
    PrefetchRequest,
    RequestDetails,
    Trace,
    ViewRequest,
    VisitorId,
    __version__,
)

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
HERO_MBOX = MboxRequest(name="hero")
HERO = DeliveryRequest(execute=ExecuteRequest(mboxes=[HERO_MBOX]))


def test_minimal_request_gets_all_required_fields(connect: Connect, target: Target) -> None:
    connect().get_offers(request=HERO, session_id="s1")
    received = target.requests[0]
    assert (received.method, received.path) == ("POST", "/rest/v1/delivery")
    assert received.target.endswith("?imsOrgId=0DD934B85278256B0A490D44%40AdobeOrg&sessionId=s1")
    body = received.json()
    assert UUID.fullmatch(body.pop("requestId"))
    assert body == {
        "context": {"channel": "web", "timeOffsetInMinutes": time.localtime().tm_gmtoff // 60},
        "experienceCloud": {"analytics": {"logging": "server_side"}},
        "execute": {"mboxes": [{"index": 0, "name": "hero"}]},
    }


def test_headers_name_the_sdk_and_the_request(connect: Connect, target: Target) -> None:
    client = connect()
    client.get_offers(request=HERO)
    client.get_offers(request=HERO)
    first, second = (received.headers for received in target.requests)
    assert first["content-type"] == first["accept"] == "application/json"
    assert first["x-exc-sdk"] == "AdobeTargetPython"
    assert first["x-exc-sdk-version"] == __version__
    assert first["host"] == target.host
    assert UUID.fullmatch(first["x-request-id"])
    assert first["x-request-id"] != second["x-request-id"]


def test_calls_share_one_connection(connect: Connect, target: Target) -> None:
    client = connect()
    for _ in range(5):
        client.get_offers(request=HERO)
    assert target.connections == 1


@pytest.mark.parametrize(
    ("options", "call", "expected"),
    [
        ({}, {"session_id": "a b@c"}, {"imsOrgId": ORGANIZATION, "sessionId": "a b@c"}),
        (
            {"version": "2.11&x=1"},
            {"session_id": "s"},
            {"imsOrgId": ORGANIZATION, "sessionId": "s", "version": "2.11&x=1"},
        ),
        (
            {"organization_id": "A+B C@AdobeOrg"},
            {"session_id": "s"},
            {"imsOrgId": "A+B C@AdobeOrg", "sessionId": "s"},
        ),
    ],
    ids=["session id", "version", "organization"],
)
def test_query_is_encoded(
    options: dict[str, Any], call: dict[str, Any], expected: dict[str, str], connect: Connect, target: Target
) -> None:
    connect(**options).get_offers(request=HERO, **call)
    assert query_of(target.requests[0]) == expected


FULL = DeliveryRequest(
    request_id="r-1",
    impression_id="i-1",
    id=VisitorId(tnt_id="t-1", third_party_id="tp", marketing_cloud_visitor_id="123"),
    environment_id=7,
    _property=ModelProperty(token="own"),
    trace=Trace(authorization_token="secret"),
    context=Context(
        channel=ChannelType.MOBILE,
        geo=Geo(ip_address="12.21.1.40"),
        time_offset_in_minutes=-480,
        user_agent="Mozilla/5.0 größe",
        beacon=True,
    ),
    experience_cloud=ExperienceCloud(
        audience_manager=AudienceManager(location_hint=9, blob="blob"),
        analytics=AnalyticsRequest(
            logging=LoggingType.CLIENT_SIDE, supplemental_data_id="0123456789ABCDEF-0123456789ABCDEF"
        ),
    ),
    execute=ExecuteRequest(
        page_load=RequestDetails(parameters={"a": "", "b": "\U0001f600"}),
        mboxes=[MboxRequest(index=5, name="m", order=Order(id="o", total=1.5))],
    ),
    prefetch=PrefetchRequest(views=[ViewRequest(name="home")], mboxes=[MboxRequest(name="p")]),
    notifications=[Notification(id="n", timestamp=1, type=MetricType.CLICK, tokens=["t"])],
)
FULL_BODY = {
    "requestId": "r-1",
    "impressionId": "i-1",
    "id": {"tntId": "t-1", "thirdPartyId": "tp", "marketingCloudVisitorId": "123"},
    "environmentId": 7,
    "property": {"token": "own"},
    "trace": {"authorizationToken": "secret"},
    "context": {
        "channel": "mobile",
        "geo": {"ipAddress": "12.21.1.40"},
        "timeOffsetInMinutes": -480,
        "userAgent": "Mozilla/5.0 größe",
        "beacon": True,
    },
    "experienceCloud": {
        "audienceManager": {"locationHint": 9, "blob": "blob"},
        "analytics": {"logging": "client_side", "supplementalDataId": "0123456789ABCDEF-0123456789ABCDEF"},
    },
    "execute": {
        "pageLoad": {"parameters": {"a": "", "b": "\U0001f600"}},
        "mboxes": [{"index": 5, "name": "m", "order": {"id": "o", "total": 1.5}}],
    },
    "prefetch": {"views": [{"name": "home"}], "mboxes": [{"index": 0, "name": "p"}]},
    "notifications": [{"id": "n", "timestamp": 1, "type": "click", "tokens": ["t"]}],
}


@pytest.mark.parametrize("form", ["model", "wire"])
def test_fields_of_the_caller_are_sent_unchanged(form: str, connect: Connect, target: Target) -> None:
    client = connect(environment_id=1, property_token="configured", telemetry_enabled=False)
    before = FULL.to_json()
    client.get_offers(request=FULL if form == "model" else json.loads(before))
    assert target.bodies == [FULL_BODY]
    assert FULL.to_json() == before


def test_absent_fields_are_filled_from_the_options(connect: Connect, target: Target) -> None:
    connect(environment_id=1, property_token="configured").get_offers(request=HERO)
    assert target.bodies[0]["environmentId"] == 1
    assert target.bodies[0]["property"] == {"token": "configured"}
    assert DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="hero")])) == HERO


def test_result_contains_the_sent_request(connect: Connect, target: Target) -> None:
    client = connect()
    known = DeliveryRequest(id=VisitorId(tnt_id="t"), execute=HERO.execute)
    for number, (request, more) in enumerate([(known, {}), (HERO, {"id": {}})]):
        result = client.get_offers(request=request)
        assert result.request is not None
        assert json.loads(result.request.to_json()) == target.bodies[number] | more


def test_invalid_notifications_are_left_out(connect: Connect, target: Target) -> None:
    good = Notification(id="n1", timestamp=1, type=MetricType.DISPLAY)
    bad = [
        Notification(timestamp=1, type=MetricType.DISPLAY),
        Notification(id="n2", type=MetricType.DISPLAY),
        Notification(id="n3", timestamp=1, type="hover"),  # type: ignore[arg-type]
    ]
    result = connect().send_notifications(request=DeliveryRequest(notifications=[bad[0], good, *bad[1:]]))
    assert target.notifications == [{"id": "n1", "timestamp": 1, "type": "display"}]
    assert [one.id for one in result.notifications or ()] == ["n1"]


@pytest.mark.parametrize("timestamp", [math.nan, "soon", True, [1]], ids=repr)
@pytest.mark.parametrize("call", ["send_notifications", "get_offers"])
def test_invalid_timestamp_raises_before_anything_is_sent(
    call: str, timestamp: Any, connect: Connect, target: Target
) -> None:
    wrong = Notification(id="n1", timestamp=timestamp, type=MetricType.DISPLAY)
    with pytest.raises(OptionError) as caught:
        getattr(connect(), call)(request=DeliveryRequest(notifications=[wrong]))
    assert caught.value.path == "request.notifications[0].timestamp"
    assert target.requests == []


def test_call_left_empty_by_invalid_notifications_raises(connect: Connect, target: Target) -> None:
    client = connect()
    with pytest.raises(OptionError, match=r"^request\.notifications\[0\]: has no timestamp$"):
        client.send_notifications(
            request=DeliveryRequest(notifications=[Notification(id="n1", type="click")])
        )
    assert target.requests == []
    assert client.client.stats().ignored.notifications == 1


def test_order_of_database_types_arrives_complete(connect: Connect, target: Target) -> None:
    order = Order(id=17, total=Decimal("19.90"), purchased_product_ids=[1, uuid.UUID(int=2)])  # type: ignore[list-item]
    for timestamp in (
        1_700_000_000_000.4,
        datetime.fromtimestamp(1_700_000_000, UTC),
        Decimal(1_700_000_000_000),
    ):
        bought = Notification(id=uuid.UUID(int=1), type="click", timestamp=timestamp, order=order)
        connect().send_notifications(
            request=DeliveryRequest(notifications=[bought]), session_id=uuid.UUID(int=3)
        )
    assert (
        target.notifications
        == [
            {
                "id": str(uuid.UUID(int=1)),
                "type": "click",
                "timestamp": 1_700_000_000_000,
                "order": {"id": "17", "total": 19.9, "purchasedProductIds": ["1", str(uuid.UUID(int=2))]},
            }
        ]
        * 3
    )
    assert query_of(target.requests[0])["sessionId"] == str(uuid.UUID(int=3))


@pytest.mark.parametrize(
    ("address", "sent"),
    [
        ("203.0.113.7:50000", {"geo": {"ipAddress": "203.0.113.7"}}),
        ("203.0.113.7, 10.0.0.1", {"geo": {"ipAddress": "203.0.113.7"}}),
        ("testclient", {}),
        ("", {}),
    ],
)
def test_ip_address_is_read_or_ignored_and_never_raises(
    address: str, sent: dict[str, Any], connect: Connect, target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    client = connect()
    request = DeliveryRequest(
        context=Context(channel="web", geo=Geo(ip_address=address), time_offset_in_minutes=0),
        execute=HERO.execute,
    )
    for _ in range(3):
        client.get_offers(request=request)
    assert [body["context"] for body in target.bodies] == [
        {"channel": "web", **sent, "timeOffsetInMinutes": 0}
    ] * 3
    assert client.client.stats().ignored.ip_addresses == (0 if sent else 3)
    lines = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(lines) == (0 if sent else 1)


def test_get_attributes_requests_the_mboxes_and_reads_their_keys(connect: Connect, target: Target) -> None:
    client = connect()
    attributes = client.get_attributes(["hero", "flags"], request=HERO, session_id="s1")
    assert target.bodies[0]["execute"]["mboxes"] == [
        {"index": 0, "name": "hero"},
        {"index": 1, "name": "flags"},
    ]
    assert query_of(target.requests[0])["sessionId"] == "s1"
    assert attributes.get_value("flags", "title") == "remote flags"
    client.get_attributes(["other"])
    assert target.bodies[1]["execute"]["mboxes"] == [{"index": 1, "name": "other"}]


CUSTOMERS = [CustomerId(id="c", integration_code="crm", authenticated_state="authenticated")]


@pytest.mark.parametrize(
    ("call", "path"),
    [
        ({}, "options"),
        ({"request": DeliveryRequest(execute=ExecuteRequest())}, "request.execute"),
        ({"request": DeliveryRequest(prefetch=PrefetchRequest())}, "request.prefetch"),
        (
            {"request": DeliveryRequest(execute=ExecuteRequest(mboxes=[HERO_MBOX, MboxRequest(index="x")]))},  # type: ignore[arg-type]
            "request.execute.mboxes[1].index",
        ),
        (
            {
                "request": DeliveryRequest(
                    context=Context(channel=ChannelType.WEB, geo=Geo(country_code="ITA"))
                )
            },
            "request.context.geo.country_code",
        ),
        ({"request": HERO, "decisioning_method": "remote"}, "decisioning_method"),
        ({"request": HERO, "session_id": 5.5}, "session_id"),
        ({"request": HERO, "customer_ids": [*CUSTOMERS, "c"]}, "customer_ids[1]"),
        ({"request": HERO, "visitor": object()}, "visitor"),
        ({"request": HERO, "visitor_cookie": 1}, "visitor_cookie"),
    ],
)
def test_invalid_request_raises_before_it_is_sent(
    call: dict[str, Any], path: str, connect: Connect, target: Target
) -> None:
    with pytest.raises(OptionError) as caught:
        connect().get_offers(**call)
    assert caught.value.path == path
    assert target.requests == []


def test_lone_surrogate_is_sent_as_a_json_escape(connect: Connect, target: Target) -> None:
    """Check text that UTF-8 cannot encode, as in file names and broken cookies."""
    mbox = MboxRequest(name="hero", parameters={"a": "\ud800"})
    connect().get_offers(request=DeliveryRequest(execute=ExecuteRequest(mboxes=[mbox])))
    assert rb'"\ud800"' in target.requests[0].body
