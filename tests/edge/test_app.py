"""ASGI application without a port."""

from __future__ import annotations

import gzip
import json
import logging
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import each_case
from support.edge import HERO, QUERY, experience, web_client
from support.examples import examples
from targetry.device.obfuscation import deobfuscate
from targetry.edge.in_process import ORGANIZATION, MemoryLedger
from targetry.errors import OptionError
from targetry.geo.location import GeoLocation
from targetry.ledger.errors import LedgerError
from targetry.ledger.event import LedgerEvent
from targetry.samples import shop, shop_path

DELIVERY = f"/rest/v1/delivery?{QUERY}"
RULES = "/acme/production/v1/rules.json"
ROME = GeoLocation(latitude=41.9, longitude=12.5, country_code="IT", state_code="62", city="ROME")
TOKYO = GeoLocation(country_code="JP", city="東京")
NOTIFICATION = {
    "context": {"channel": "web"},
    "notifications": [{"id": "n", "type": "display", "timestamp": 1}],
}


class BrokenLedger:
    def __init__(self, error: Exception | None = None) -> None:
        self._error = error or OSError("the disk is gone")

    def record(self, events: Sequence[LedgerEvent]) -> list[bool]:
        raise self._error

    def close(self) -> None: ...


def test_offer_is_json() -> None:
    answer = web_client().post(DELIVERY, json=HERO)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert experience(answer.json()["execute"]["mboxes"][0]) == "Everyday"


def test_event_that_is_sent_again_is_recorded_once() -> None:
    ledger = MemoryLedger()
    client = web_client(ledger)
    for _ in range(3):
        client.post(DELIVERY, json={**HERO, "requestId": "r"})
    assert [event.kind for event in ledger.events] == ["impression"]
    text = client.get("/metrics").text
    assert 'targetry_edge_events_total{kind="impression",outcome="recorded"} 1.0' in text
    assert 'targetry_edge_events_total{kind="impression",outcome="seen"} 2.0' in text


def test_events_with_a_token_of_no_artifact_are_counted() -> None:
    client = web_client()
    shown = {"id": "n", "type": "display", "timestamp": 1, "tokens": ["stale", "bogus"]}
    for body in (HERO, NOTIFICATION, {**HERO, "notifications": [shown]}):
        client.post(DELIVERY, json=body)
    assert "targetry_edge_unknown_tokens_total 2.0" in client.get("/metrics").text


def test_offer_is_returned_if_its_event_cannot_be_recorded(caplog: pytest.LogCaptureFixture) -> None:
    client = web_client(BrokenLedger())
    assert client.post(DELIVERY, json=HERO).status_code == 200
    assert "1 events could not be recorded" in caplog.text
    assert 'targetry_edge_events_total{kind="impression",outcome="lost"} 1.0' in client.get("/metrics").text


@each_case(
    "error, reason",
    [
        (LedgerError("full", "no space is left"), "full"),
        (OptionError("events[0].id", "is too long"), "invalid"),
        (OSError("the disk is gone"), "error"),
    ],
)
def test_lost_events_are_counted_by_their_reason(error: Exception, reason: str) -> None:
    client = web_client(BrokenLedger(error))
    client.post(DELIVERY, json=HERO)
    assert f'targetry_edge_lost_events_total{{reason="{reason}"}} 1.0' in client.get("/metrics").text


def test_notification_that_cannot_be_recorded_is_503() -> None:
    answer = web_client(BrokenLedger()).post(DELIVERY, json=NOTIFICATION)
    assert answer.status_code == 503
    assert answer.json()["status"] == 503


def test_gzip_body_is_read() -> None:
    body = gzip.compress(json.dumps(HERO).encode())
    assert web_client().post(DELIVERY, content=body, headers={"content-encoding": "gzip"}).status_code == 200


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (b"x" * 1_000_001, "identity", 413),
        (gzip.compress(b" " * 20_000_000), "gzip", 413),
        (b"not gzip", "gzip", 400),
        (gzip.compress(b"{}")[:-4], "gzip", 400),
        (b"{}", "br", 415),
    ],
    ids=["too large", "gzip bomb", "no gzip", "cut short", "unknown encoding"],
)
def test_unreadable_body_is_rejected(body: bytes, encoding: str, status: int) -> None:
    answer = web_client().post(DELIVERY, content=body, headers={"content-encoding": encoding})
    assert (answer.status_code, answer.json()["status"]) == (status, status)


def test_body_of_undeclared_length_is_bounded() -> None:
    answer = web_client().post(DELIVERY, content=(b"x" * 100_000 for _ in range(11)))
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")


@each_case(
    "method, path, status",
    [
        ("GET", DELIVERY, 405),
        ("DELETE", RULES, 405),
        ("OPTIONS", DELIVERY, 405),
        ("GET", "/nowhere", 404),
        ("GET", "/acme/production/v1/other.json", 404),
        ("GET", "/other/production/v1/rules.json", 404),
        ("GET", "/acme/staging/v1/rules.json", 404),
    ],
)
def test_errors_are_json(method: str, path: str, status: int) -> None:
    answer = web_client().request(method, path)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.json()["message"]


def test_unknown_client_is_rejected_with_the_known_ones() -> None:
    message = web_client().get("/other/production/v1/rules.json").json()["message"]
    assert message == "client 'other' is not served here; served: acme (option --client)"


@pytest.mark.parametrize("path", [RULES, "/acme/Production/v1/some-property/rules.json"])
def test_artifact_is_served_unchanged(path: str) -> None:
    answer = web_client().get(path, headers={"accept-encoding": "identity"})
    assert answer.content == shop_path().read_bytes()
    assert "content-encoding" not in answer.headers


def test_artifact_is_compressed_if_accepted() -> None:
    answer = web_client().get(RULES)
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.json() == shop()


@pytest.mark.parametrize("known", ["{}", '"other", {}', "*"])
def test_known_artifact_is_304(known: str) -> None:
    client = web_client()
    etag = client.get(RULES).headers["etag"]
    for tag in (etag, etag.removeprefix("W/")):
        answer = client.get(RULES, headers={"if-none-match": known.format(tag)})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    assert client.get(RULES, headers={"if-none-match": '"other"'}).status_code == 200


def test_head_has_headers_only() -> None:
    answer = web_client().head(RULES)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["etag"]


def test_rules_bin_can_be_revealed_by_its_organization() -> None:
    client = web_client()
    answer = client.get("/acme/production/v1/rules.bin")
    assert deobfuscate(answer.content, ORGANIZATION) == shop_path().read_bytes()
    assert answer.headers["etag"] != client.get(RULES).headers["etag"]


def test_location_is_in_body_and_headers() -> None:
    client = web_client(locate={"203.0.113.7": ROME}.get)
    answer = client.get("/v1/geo", headers={"x-forwarded-for": "203.0.113.7, 10.0.0.1"})
    place = {
        "x-forwarded-for": "203.0.113.7",
        "x-geo-latitude": 41.9,
        "x-geo-longitude": 12.5,
        "x-geo-country-code": "IT",
        "x-geo-region-code": "62",
        "x-geo-city": "ROME",
    }
    assert answer.json() == place
    assert {name: answer.headers[name] for name in place} == {
        name: str(value) for name, value in place.items()
    }


@pytest.mark.parametrize(
    ("query", "headers", "expected"),
    [
        ("", {"x-geo-country-code": "JP", "x-geo-city": "Kyoto"}, {"country-code": "JP", "city": "Kyoto"}),
        ("?x-geo-country-code=JP", {}, {"country-code": "JP"}),
        ("?x-geo-city=Kyoto", {"x-geo-city": "Nara", "x-geo-region-code": "26"}, {"region-code": "26", "city": "Kyoto"}),
        ("?x-geo-latitude=35.01&x-geo-longitude=abc", {}, {"latitude": 35.01}),
        ("?x-geo-latitude=91", {}, {"latitude": 41.9, "longitude": 12.5, "country-code": "IT", "region-code": "62", "city": "ROME"}),
        ("?x-forwarded-for=203.0.113.9", {}, {}),
    ],
    ids=["headers", "query", "both", "one of no use", "none of use", "another address"],
)  # fmt: skip
def test_given_location_is_not_looked_up(
    query: str, headers: dict[str, str], expected: dict[str, Any]
) -> None:
    client = web_client(locate={"203.0.113.7": ROME}.get)
    answer = client.get(f"/v1/geo{query}", headers={"x-forwarded-for": "203.0.113.7", **headers}).json()
    del answer["x-forwarded-for"]
    assert answer == {f"x-geo-{name}": value for name, value in expected.items()}


def test_artifact_has_the_location_of_the_client() -> None:
    client = web_client(locate={"203.0.113.7": ROME}.get)
    assert client.get(RULES, headers={"x-forwarded-for": "203.0.113.7"}).headers["x-geo-city"] == "ROME"


def test_location_that_no_header_can_hold_is_in_the_body() -> None:
    answer = web_client(locate={"203.0.113.7": TOKYO}.get).get(
        "/v1/geo", headers={"x-forwarded-for": "203.0.113.7"}
    )
    assert answer.json()["x-geo-city"] == "東京"
    assert "x-geo-city" not in answer.headers


@pytest.mark.parametrize("address", ["", "nonsense", "999.1.1.1", "203.0.113.9"])
def test_unknown_location_is_left_out(address: str) -> None:
    answer = web_client(locate={}.get).get("/v1/geo", headers={"x-forwarded-for": address})
    assert answer.status_code == 200
    assert not any(name.startswith("x-geo") for name in answer.json())


def test_health_and_readiness() -> None:
    client = web_client()
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz").json()
    assert (ready["status"], ready["artifacts"][0]["client"]) == ("ready", "acme")


def test_requests_are_counted_by_route_and_status() -> None:
    client = web_client()
    client.post(DELIVERY, json=HERO)
    client.post(DELIVERY, content=b"junk")
    client.get("/nowhere")
    text = client.get("/metrics").text
    assert 'targetry_edge_requests_total{route="delivery",status="200"} 1.0' in text
    assert 'targetry_edge_requests_total{route="delivery",status="400"} 1.0' in text
    assert 'targetry_edge_requests_total{route="other",status="404"} 1.0' in text


def test_large_response_is_compressed_if_accepted() -> None:
    mboxes = [{"name": "hero"}] * 10
    request = {**HERO, "execute": {"mboxes": mboxes}}
    zipped, plain = (
        web_client().post(DELIVERY, json=request, headers={"accept-encoding": encoding})
        for encoding in ("gzip", "identity")
    )
    assert zipped.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert int(zipped.headers["content-length"]) < int(plain.headers["content-length"])
    assert zipped.json()["execute"] == plain.json()["execute"]
    small = web_client().post(
        DELIVERY, json={"context": {"channel": "web"}}, headers={"accept-encoding": "gzip"}
    )
    assert "content-encoding" not in small.headers


@pytest.mark.parametrize("kind", ["application/json", "text/plain;charset=UTF-8", ""])
def test_body_is_json_whatever_its_content_type(kind: str) -> None:
    """`navigator.sendBeacon` sends plain text, which needs no preflight."""
    answer = web_client().post(DELIVERY, content=json.dumps(HERO), headers={"content-type": kind})
    assert answer.status_code == 200


def test_beacon_has_no_response_body() -> None:
    answer = web_client().post(DELIVERY, json={**HERO, "context": {"channel": "web", "beacon": True}})
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("path", [RULES, "/v1/geo", "/healthz", "/readyz", "/metrics", "/"])
def test_head_equals_get_without_its_body(path: str) -> None:
    client = web_client()
    got, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers["content-type"] == got.headers["content-type"]


def test_cluster_is_part_of_new_ids_and_keeps_their_bucket() -> None:
    client = web_client(cluster="35")
    anonymous = {"context": {"channel": "web"}, "execute": {"mboxes": [{"name": "hero"}]}}
    first = client.post(DELIVERY, json=anonymous).json()
    assert re.fullmatch(r"[0-9a-f-]{36}\.35_0", first["id"]["tntId"])
    assert first["edgeHost"] == "mboxedge35.tt.omtrdc.net"
    again = client.post(DELIVERY, json={**anonymous, "id": first["id"]}).json()
    assert again["id"] == first["id"]
    assert experience(again["execute"]["mboxes"][0]) == experience(first["execute"]["mboxes"][0])


def test_internal_error_is_500_with_its_cause_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> float:
        raise ZeroDivisionError("the clock stands still")

    with caplog.at_level(logging.INFO, "targetry.edge"):
        answer = web_client(now=broken).post(DELIVERY, json=HERO)
    assert (answer.status_code, answer.json()["status"]) == (500, 500)
    assert "ZeroDivisionError" in caplog.text
    assert "in broken" in caplog.text
    assert "InternalError: ZeroDivisionError; its message is logged at DEBUG" in caplog.text
    with caplog.at_level(logging.DEBUG, "targetry.edge"):
        web_client(now=broken).post(DELIVERY, json=HERO)
    assert "ZeroDivisionError: the clock stands still" in caplog.text


def test_request_is_one_log_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "targetry.edge"):
        web_client().post(DELIVERY, json=HERO)
    (record,) = [record for record in caplog.records if record.name == "targetry.edge"]
    fields: dict[str, Any] = record.__dict__["fields"]
    assert (fields["method"], fields["path"], fields["status"]) == ("POST", "/rest/v1/delivery", 200)
    assert "sessionId" not in record.getMessage()


CLIENT = web_client()


@settings(max_examples=examples(60))
@given(
    st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS"]),
    st.sampled_from([DELIVERY, RULES, "/v1/geo", "/%00/%ff/v1/rules.json", "/readyz", "/a//v1/rules.bin"]),
    st.binary(max_size=200),
    st.dictionaries(
        st.sampled_from(
            [
                "content-encoding",
                "if-none-match",
                "x-forwarded-for",
                "accept-encoding",
                "content-length",
                "origin",
            ]
        ),
        st.text(st.characters(codec="ascii", categories=("L", "N", "P")), max_size=20),
    ),
)
def test_arbitrary_requests_cause_no_server_error(
    method: str, path: str, body: bytes, headers: dict[str, str]
) -> None:
    assert CLIENT.request(method, path, content=body, headers=headers).status_code < 500
