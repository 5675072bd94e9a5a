"""Geo lookups over the network: time limit, and only for rules that need a location."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from e2e.client.any_client import AnyClient, Connect
from e2e.client.conftest import reach, sync_only
from e2e.client.listener import Listener
from e2e.client.target import GEO, PLACE, Target, artifact
from servers.faulty import HANG, Behaviour, Close, Pause, answer, html_answer, json_answer
from support.late import LATE_S
from targetry import (
    ChannelType,
    Context,
    DeliveryRequest,
    ExecuteRequest,
    Geo,
    MboxRequest,
    PrefetchRequest,
    TargetClient,
)

GEO_ARTIFACT = artifact(geoTargetingEnabled=True, responseTokens=["geo.city"])
IN_ROME = Geo(ip_address="12.21.1.40")


def at(geo: Geo | None) -> DeliveryRequest:
    context = Context(channel=ChannelType.WEB, geo=geo)
    return DeliveryRequest(context=context, prefetch=PrefetchRequest(mboxes=[MboxRequest(name="roman")]))


def is_roman(client: AnyClient, geo: Geo | None = IN_ROME) -> bool:
    result = client.get_offers(request=at(geo))
    return bool(result["response"].prefetch.mboxes[0].options)


@pytest.fixture
def located(on_device: Connect) -> Connect:
    """Return a factory of clients with a payload artifact whose rules need a geo location."""

    def new(**options: Any) -> AnyClient:
        return on_device(**{"artifact_payload": GEO_ARTIFACT, "polling_interval": 0, **options})

    return new


def test_location_of_the_ip_address_is_used_for_the_decision(located: Connect, target: Target) -> None:
    client = located()
    result = client.get_offers(request=at(IN_ROME))
    (received,) = target.requests
    assert (received.method, received.target) == ("GET", "/v1/geo")
    assert received.headers["x-forwarded-for"] == "12.21.1.40"
    assert result["response"].prefetch.mboxes[0].options[0].content == {"title": "ave"}
    assert result["response_tokens"][0]["geo.city"] == "ROME"
    geo = result["request"].context.geo
    assert (geo.ip_address, geo.city, geo.country_code, geo.latitude) == ("12.21.1.40", "ROME", "IT", 41.9)


def test_lookup_emits_the_location(located: Connect, emitted: Listener) -> None:
    is_roman(located(events=emitted.handlers))
    geo = emitted.last("geo_location_updated").geo_context
    assert (geo.city, geo.ip_address) == ("ROME", "12.21.1.40")


@pytest.mark.parametrize(
    ("geo", "roman"),
    [
        (Geo(ip_address="12.21.1.40", city="Rome"), True),
        (Geo(ip_address="12.21.1.40", city="Paris"), False),
        (Geo(ip_address="12.21.1.40", country_code="FR"), False),
        (Geo(city="rome"), True),
        (Geo(), False),
        (None, False),
    ],
    ids=[
        "city given",
        "other city",
        "country",
        "no address",
        "empty",
        "none",
    ],
)
def test_visitor_with_a_location_or_no_address_is_not_looked_up(
    geo: Geo | None, roman: bool, located: Connect, target: Target
) -> None:
    assert is_roman(located(), geo) is roman
    assert target.requests == []


def test_unknown_address_literal_looks_up_the_address_of_the_request(
    located: Connect, target: Target
) -> None:
    client = located()
    result = client.get_offers(request=at(Geo(ip_address="unknownIpAddress")))
    assert result["response"].prefetch.mboxes[0].options[0].content == {"title": "ave"}
    assert result["request"].context.geo.ip_address is None
    assert "x-forwarded-for" not in target.requests[0].headers


@pytest.mark.parametrize("address", ["not an address", "10.0.0.1\r\nX: y", "10.0.0.256"])
def test_invalid_address_is_ignored_and_counted(address: str, located: Connect, target: Target) -> None:
    client = located()
    assert not is_roman(client, Geo(ip_address=address))
    assert client.client.stats().ignored.ip_addresses == 1
    assert target.requests_to(GEO) == []


def test_first_address_of_a_list_is_looked_up(located: Connect, target: Target) -> None:
    assert is_roman(located(), Geo(ip_address="12.21.1.40, 10.0.0.2"))
    assert [request.headers["x-forwarded-for"] for request in target.requests_to(GEO)] == ["12.21.1.40"]


def test_rules_without_geo_conditions_cause_no_lookup(located: Connect, target: Target) -> None:
    assert not is_roman(located(artifact_payload=artifact()))
    assert target.requests == []


def test_server_side_call_makes_no_lookup(connect: Connect, target: Target) -> None:
    connect().get_offers(request=at(IN_ROME))
    assert target.requests_to(GEO) == []
    assert target.bodies[0]["context"]["geo"] == {"ipAddress": "12.21.1.40"}


def test_same_address_is_looked_up_once(located: Connect, target: Target) -> None:
    client = located()
    assert all(is_roman(client) for _ in range(5))
    assert len(target.requests) == 1
    stats = client.client.stats().geo
    assert stats is not None
    assert (stats.requests, stats.hits, stats.entries) == (1, 4, 1)


@pytest.mark.parametrize(
    "behaviour",
    [
        answer(500),
        answer(404),
        html_answer(200),
        answer(200, b""),
        json_answer({"x-geo-latitude": "north"}),
        (Close(reset=True),),
        (Close(),),
        answer(200, b"x" * 100_000),
    ],
    ids=["500", "404", "HTML", "empty", "nonsense", "reset", "closed", "too large"],
)
def test_failed_lookup_keeps_the_geo_of_the_caller(
    behaviour: Behaviour, located: Connect, target: Target
) -> None:
    target.on(GEO, behaviour)
    result = located().get_offers(request=at(IN_ROME))
    assert result["response"].status == 200
    assert not result["response"].prefetch.mboxes[0].options
    assert result["request"].context.geo == IN_ROME


@pytest.mark.parametrize(
    "options", [{"geo_timeout": 50}, {"geo_timeout": 60_000, "timeout": 50}], ids=["geo_timeout", "timeout"]
)
def test_lookup_ends_at_its_timeout(options: dict[str, Any], located: Connect, target: Target) -> None:
    target.on(GEO, HANG)
    client = located(**options)
    started = time.monotonic()
    assert not is_roman(client)
    assert time.monotonic() - started < LATE_S


@sync_only
def test_hanging_service_is_not_waited_for_repeatedly(located: Connect, target: Target) -> None:
    target.on(GEO, HANG)
    client = located(geo_timeout=50)
    for number in range(20):
        assert not is_roman(client, Geo(ip_address=f"203.0.113.{number}"))
    assert len(target.requests) < 15
    stats = client.client.stats().geo
    assert stats is not None
    assert stats.paused
    assert stats.skipped > 0


def test_threads_share_one_lookup_of_an_address(target: Target) -> None:
    target.on(GEO, (Pause(0.1), *json_answer(PLACE)))
    options = {**reach(target), "decisioning_method": "on-device", "cdn_base_path": target.url}
    with TargetClient.create({**options, "artifact_payload": GEO_ARTIFACT, "polling_interval": 0}) as client:
        together = threading.Barrier(16)

        def ask(_: int) -> bool:
            together.wait(10)
            result = client.get_offers(request=at(IN_ROME))
            return bool(result["response"].prefetch.mboxes[0].options)

        with ThreadPoolExecutor(16) as pool:
            assert all(pool.map(ask, range(16)))
    assert len(target.requests_to(GEO)) == 1


def test_report_of_a_decision_has_the_location(located: Connect, target: Target) -> None:
    execute = ExecuteRequest(mboxes=[MboxRequest(name="roman")])
    client = located()
    client.get_offers(request=DeliveryRequest(context=at(IN_ROME).context, execute=execute))
    assert client.flush()
    assert target.bodies[0]["context"]["geo"] == {
        "ipAddress": "12.21.1.40",
        "latitude": 41.9,
        "longitude": 12.5,
        "countryCode": "IT",
        "city": "ROME",
    }
