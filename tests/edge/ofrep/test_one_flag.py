"""Evaluation of one flag over OFREP: statuses, bodies, bad input, and impressions."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pytest

from support.cases import each_case
from support.device import rule, window
from support.edge import web_client
from support.ofrep import GOLD, ONE, SOMEONE, evaluate, flags, post
from targetry import TargetClient
from targetry.edge.in_process import MemoryLedger
from targetry.edge.ofrep.settings import ofrep_settings
from targetry.geo.location import GeoLocation
from targetry.ledger.event import LedgerEvent

CLIENT = web_client(artifact=flags())
ROME = GeoLocation(country_code="IT")


def contents(context: Any) -> bytes:
    return json.dumps({"context": context}).encode()


@each_case(
    "key, context, reason, variant, value",
    [
        ("static:on", {}, "STATIC", "Experience 0", True),
        ("static:steps", {}, "STATIC", "Experience 0", 3),
        ("static:name", {}, "STATIC", "Experience 0", "x"),
        ("static:nested", {}, "STATIC", "Experience 0", {"deep": [1, 2]}),
        ("static:nested.deep", {}, "STATIC", "Experience 0", [1, 2]),
        ("gold", {"plan": "gold"}, "TARGETING_MATCH", "Experience 0", "gold"),
        ("rest", {}, "DEFAULT", "Experience 0", "rest"),
        ("split", SOMEONE, "SPLIT", "Experience 0", "split"),
        ("split", {"tntId": "t1"}, "SPLIT", "Experience 0", "split"),
        ("home/hero", {}, "STATIC", "Experience 0", "slash"),
        ("a b#c", {}, "STATIC", "Experience 0", [1, 2.5, "x"]),
    ],
)
def test_flag_with_content(key: str, context: Any, reason: str, variant: str, value: Any) -> None:
    answer = evaluate(CLIENT, key, context)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    document = answer.json()
    metadata = document.pop("metadata")
    assert document == {"key": key, "value": value, "reason": reason, "variant": variant}
    assert (metadata["decisioningMethod"], metadata["flagSetId"]) == ("on-device", "acme")


@pytest.mark.parametrize(
    ("key", "variant"),
    [("gold", ""), ("empty", "Experience 0"), ("static:gone", "Experience 0")],
    ids=["no rule matches", "no options", "null"],
)
def test_code_default_has_no_value(key: str, variant: str) -> None:
    document = evaluate(CLIENT, key).json()
    assert "value" not in document
    assert document["variant"] == variant


@pytest.mark.parametrize(
    ("key", "text"), [("static:rate", b'"value":10.0,'), ("static:steps", b'"value":3,')]
)
def test_integers_and_floats_stay_apart(key: str, text: bytes) -> None:
    assert text in evaluate(CLIENT, key).content


@each_case(
    "key, details",
    [
        ("nowhere", "mbox 'nowhere' is not decided on device"),
        ("away", "mbox 'away' is not decided on device"),
        ("static:zz", "the offer of mbox 'static' has no attribute 'zz'"),
        ("gold:x", None),
        ("static:a..b", "'static:a..b' is no flag key: mbox[:attribute]"),
        (":x", "':x' is no flag key: mbox[:attribute]"),
        ("", "'' is no flag key: mbox[:attribute]"),
        ("a\0b", r"mbox 'a\x00b' is not decided on device"),
        ("x" * 10_000, None),
        ("a/b/ofrep/v1/events", None),
    ],
)
def test_unknown_flag_is_404(key: str, details: str | None) -> None:
    answer = evaluate(CLIENT, key, {"plan": "gold"})
    document = answer.json()
    assert (answer.status_code, document["key"], document["errorCode"]) == (404, key, "FLAG_NOT_FOUND")
    assert details in (None, document["errorDetails"])


def nested(levels: int) -> bytes:
    return b'{"context":' + b'{"a":' * levels + b"1" + b"}" * (levels + 1)


HALF = "holds a lone surrogate, which is half of a character; replace it by U+FFFD"


@each_case(
    "body, code, details",
    [
        (b"", "PARSE_ERROR", "body: is not JSON: Expecting value at character 0"),
        (b"[]", "PARSE_ERROR", "body: must be a JSON object"),
        (b'{"context":{"a":"\\ud800"}}', "PARSE_ERROR", f"context.a: {HALF}"),
        (nested(10_000), "PARSE_ERROR", "body: is nested too deeply"),
        (nested(400), "INVALID_CONTEXT", "context: a name has more than 128 characters"),
        (b'{"context":null}', "INVALID_CONTEXT", "context: must be a JSON object"),
        (b'{"context":[]}', "INVALID_CONTEXT", "context: must be a JSON object"),
        (contents({"url": 5}), "INVALID_CONTEXT", "context.url: must be a str, not int"),
        (contents({"targetingKey": 5}), "INVALID_CONTEXT", "context.targetingKey: must be a str, not int"),
        (contents({"targetingKey": "k" * 129}), "INVALID_CONTEXT", None),
        (contents({"orderId": "1"}), "INVALID_CONTEXT", None),
        (contents({" ": "1"}), "INVALID_CONTEXT", None),
        (contents({"a": "x" * 5001}), "INVALID_CONTEXT", None),
        (
            contents({f"p{number}": 1 for number in range(51)}),
            "INVALID_CONTEXT",
            "context.parameters: more than 50, the most that the API takes",
        ),
        (
            contents({"order": {"total": 1e15}}),
            "INVALID_CONTEXT",
            "context.order.total: must be at most 1,000,000,000,000, not 1e+15",
        ),
        (b"{}", "TARGETING_KEY_MISSING", "an activity splits its visitors, and the context names none"),
        (contents({}), "TARGETING_KEY_MISSING", None),
        (contents({"targetingKey": ""}), "TARGETING_KEY_MISSING", None),
        (contents({"customerIds": {"crm": "1"}}), "TARGETING_KEY_MISSING", None),
    ],
)
@each_case("path", [ONE + "split"])
def test_bad_request_is_400_with_the_reason(path: str, body: bytes, code: str, details: str | None) -> None:
    answer = CLIENT.post(path, content=body)
    document = answer.json()
    assert (answer.status_code, document["key"], document["errorCode"]) == (400, "split", code)
    assert details in (None, document["errorDetails"])


@each_case(
    "content, headers, status",
    [
        (b"x" * 1_000_001, {}, 413),
        (b'{"context":{"a":[' + b"1," * 30_001 + b"1]}}", {}, 413),
        (b"{}", {"content-encoding": "br"}, 415),
        (b"{}", {f"x-{number}": "y" for number in range(200)}, 431),
        (b"{}", {"origin": "https://evil.example"}, 403),
    ],
    ids=["large", "many values", "encoding", "head", "origin"],
)
def test_rejected_request_says_why_in_error_details(
    content: bytes, headers: dict[str, str], status: int
) -> None:
    answer = CLIENT.post(ONE + "gold", content=content, headers=headers)
    assert (answer.status_code, list(answer.json())) == (status, ["errorDetails"])


def test_body_that_is_no_gzip_is_a_general_error() -> None:
    answer = CLIENT.post(ONE + "gold", content=b"x", headers={"content-encoding": "gzip"})
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "GENERAL")


@each_case("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_other_method_is_405(method: str) -> None:
    answer = CLIENT.request(method, ONE + "gold")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_internal_fault_is_500_without_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> float:
        raise ZeroDivisionError("secret")

    answer = evaluate(web_client(artifact=flags(), now=fail), "gold")
    assert answer.status_code == 500
    assert answer.json() == {"errorDetails": "an internal error occurred; its cause is in the edge's log"}


def test_preflight_of_a_web_page_is_allowed() -> None:
    headers = {
        "origin": "http://localhost:3000",
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,if-none-match,authorization,x-api-key",
    }
    answer = CLIENT.options(ONE + "gold", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-headers"] == headers["access-control-request-headers"]
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"


def test_address_of_the_context_locates_the_visitor_else_that_of_the_connection() -> None:
    client = web_client(artifact=flags(geoTargetingEnabled=True), locate={"203.0.113.7": ROME}.get)
    assert evaluate(client, "italy", {"ip": "203.0.113.7"}).json()["value"] == "ciao"
    assert evaluate(client, "italy", {}, headers={"x-forwarded-for": "203.0.113.7"}).json()["value"] == "ciao"
    assert "value" not in evaluate(client, "italy", {"ip": "203.0.113.8"}).json()


def test_rules_of_another_property_do_not_decide() -> None:
    document = flags()
    document["rules"]["mboxes"]["gold"][0]["propertyTokens"] = ["p1"]
    client = web_client(artifact=document)
    assert evaluate(client, "gold", {"plan": "gold", "property": "p1"}).json()["value"] == "gold"
    assert "value" not in evaluate(client, "gold", {"plan": "gold", "property": "p2"}).json()


def kinds(events: Sequence[LedgerEvent]) -> list[tuple[str, str, str]]:
    return [(event.kind, event.visitor, event.location) for event in events]


def test_flag_counts_one_impression_for_a_visitor_in_a_minute() -> None:
    ledger = MemoryLedger()
    client = web_client(ledger, flags())
    for key in ("split", "split", "static:on", "static:steps"):
        evaluate(client, key)
    assert kinds(ledger.events) == [("impression", "u1", "split"), ("impression", "u1", "static")]
    metrics = client.get("/metrics").text
    assert 'targetry_edge_events_total{kind="impression",outcome="repeated"} 2.0' in metrics


def test_visitors_without_an_id_are_different_visitors() -> None:
    ledger = MemoryLedger()
    client = web_client(ledger, flags())
    for _ in range(2):
        evaluate(client, "static:on", {})
    assert len({event.visitor for event in ledger.events}) == 2


@pytest.mark.parametrize("key", ["gold", "nowhere", "static:zz", "empty"])
def test_flag_that_shows_nothing_counts_no_impression(key: str) -> None:
    ledger = MemoryLedger()
    evaluate(web_client(ledger, flags()), key)
    assert ledger.events == []


def test_order_of_the_context_is_recorded() -> None:
    ledger = MemoryLedger()
    evaluate(web_client(ledger, flags()), "gold", {**SOMEONE, "order": {"id": "o1", "total": 12.5}})
    (event,) = ledger.events
    assert (event.kind, event.order_id, event.order_total) == ("order", "o1", 12.5)


def test_impressions_are_left_out_if_none_are_to_count() -> None:
    ledger = MemoryLedger()
    evaluate(web_client(ledger, flags(), ofrep=ofrep_settings(impressions="none")), "split")
    assert ledger.events == []


def test_session_of_the_context_is_that_of_the_event() -> None:
    ledger = MemoryLedger()
    evaluate(web_client(ledger, flags()), "split", {**SOMEONE, "sessionId": "s9"})
    assert [event.session_id for event in ledger.events] == ["s9"]


def test_flag_is_returned_if_its_impression_cannot_be_recorded() -> None:
    class BrokenLedger:
        def record(self, events: Sequence[LedgerEvent]) -> list[bool]:
            raise OSError("the disk is gone")

    assert evaluate(web_client(BrokenLedger(), flags()), "split").status_code == 200


def test_evaluations_are_counted_by_outcome() -> None:
    client = web_client(artifact=flags())
    for key in ("split", "gold", "nowhere"):
        evaluate(client, key)
    metrics = client.get("/metrics").text
    for outcome in ("SPLIT", "DEFAULT", "FLAG_NOT_FOUND"):
        assert f'targetry_edge_ofrep_evaluations_total{{form="one",outcome="{outcome}"}} 1.0' in metrics
    assert 'targetry_edge_requests_total{route="ofrep",status="200"} 2.0' in metrics


def test_condition_that_takes_long_is_decided_in_a_thread() -> None:
    large = {"or": [{"==": [{"var": "mbox.x"}, f"{number:0200}"]} for number in range(400)]}
    document = flags()
    document["rules"]["mboxes"]["gold"][0]["condition"] = {"or": [large, GOLD]}
    assert evaluate(web_client(artifact=document), "gold", {"plan": "gold"}).json()["value"] == "gold"


def test_nan_in_an_attribute_cannot_arrive() -> None:
    assert post(CLIENT, ONE + "gold", {"a": math.nan}).json()["errorCode"] == "PARSE_ERROR"


def test_visitor_gets_the_experience_of_a_delivery_and_of_a_client() -> None:
    document = flags()
    document["rules"]["mboxes"]["split"] = [
        rule(5, window(0, 50), content="a", name="split"),
        rule(5, window(50, 100), content="b", name="split", experience=1),
    ]
    edge = web_client(artifact=document)
    options = {"client": "acme", "organization_id": "o", "decisioning_method": "on-device"}
    seen = set()
    with TargetClient.create(
        **options, artifact_payload=document, polling_interval=0, send_notification_func=lambda _: None
    ) as client:
        for number in range(60):
            visitor = f"v{number}"
            value = evaluate(edge, "split", {"targetingKey": visitor}).json()["value"]
            assert value == client.flag("split", "", context={"targetingKey": visitor})
            asked = {
                "id": {"thirdPartyId": visitor},
                "context": {"channel": "web"},
                "execute": {"mboxes": [{"name": "split"}]},
            }
            delivered = edge.post("/rest/v1/delivery?client=acme&sessionId=s", json=asked).json()
            assert value == delivered["execute"]["mboxes"][0]["options"][0]["content"]
            seen.add(value)
    assert seen == {"a", "b"}
