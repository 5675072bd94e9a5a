"""Result of a response: an envelope, or one typed error."""

from __future__ import annotations

import json
from typing import Any

import pytest

from e2e.client.any_client import Connect
from e2e.client.conftest import async_is_slow
from e2e.client.target import CLIENT, DELIVERY, TNT_ID, Target, response_to
from servers.faulty import (
    HANG,
    Behaviour,
    Close,
    Send,
    answer,
    drip,
    garbage,
    gzip_answer,
    gzip_bomb,
    half,
    html_answer,
    json_answer,
    redirect_to_itself,
)
from targetry import (
    AnalyticsResponse,
    ApiException,
    DeadlineError,
    DeliveryRequest,
    DeliveryResponse,
    ExecuteRequest,
    MboxRequest,
    OpenApiException,
    TargetDeliveryResponse,
    TargetError,
    TransportError,
)

HERO = DeliveryRequest(request_id="r1", execute=ExecuteRequest(mboxes=[MboxRequest(name="hero")]))
OK = json_answer({"status": 200, "requestId": "r1"})


def test_response_is_returned_in_the_envelope(connect: Connect, target: Target) -> None:
    result = connect().get_offers(request=HERO, session_id="s1")
    assert type(result) is TargetDeliveryResponse
    assert set(result) == {
        "visitor_state",
        "request",
        "response",
        "target_cookie",
        "target_location_hint_cookie",
        "response_tokens",
        "meta",
    }
    assert result["visitor_state"] is None
    assert result["meta"] == {"decisioning_method": "server-side", "remote_mboxes": [], "remote_views": []}
    assert result["response_tokens"] == [{"activity.name": "hero"}]
    assert isinstance(result["response"], DeliveryResponse)
    assert json.loads(result.to_json()) == response_to(target.bodies[0])
    assert result.execute is not None
    assert result.execute.mboxes is not None
    assert result.execute.mboxes[0].options[0].content == {"title": "remote hero"}
    assert (result.status, result.client) == (200, CLIENT)


def test_analytics_traces_and_tokens_are_collected_in_the_documented_order(
    connect: Connect, target: Target
) -> None:
    def place(name: str) -> dict[str, Any]:
        return {
            "name": name,
            "analytics": {"payload": {"pe": "tnt", "tnta": name}},
            "trace": {"of": name},
            "options": [{"responseTokens": {"of": name}}, {"content": "x"}],
        }

    document = {
        "prefetch": {
            "mboxes": [place("prefetched")],
            "views": [place("view")],
            "pageLoad": place("prefetched page"),
        },
        "execute": {"mboxes": [place("one"), place("two")], "pageLoad": place("page")},
    }
    target.on(DELIVERY, json_answer(document))
    result = connect().get_offers(request=HERO)
    order = ["page", "one", "two", "prefetched page", "view", "prefetched"]
    assert [one.payload.tnta for one in result["analytics_details"]] == order
    assert isinstance(result["analytics_details"][0], AnalyticsResponse)
    assert result["trace"] == [{"of": name} for name in order]
    assert result["response_tokens"] == [{"of": name} for name in order]


@pytest.mark.parametrize(
    ("behaviour", "response"),
    [
        (OK, {"status": 200, "requestId": "r1"}),
        (json_answer({"status": 206}, 206), {"status": 206}),
        (json_answer({"status": 200}, 201), {"status": 200}),
        (answer(204), {}),
        (json_answer({}), {}),
        (gzip_answer(b'{"status": 200}'), {"status": 200}),
        (json_answer({"new": 1, "status": "200", "id": {"customerIds": [{"id": "c"}]}}), None),
        (
            json_answer({"execute": {"mboxes": [{"options": [{"type": "hologram", "content": 42}]}]}}),
            {"execute": {"mboxes": [{"options": [{"type": "hologram", "content": 42}]}]}},
        ),
    ],
    ids=["200", "206", "201", "204", "empty object", "packed", "of a newer service", "unknown type"],
)
def test_each_success_status_is_a_result(
    behaviour: Behaviour, response: dict[str, Any] | None, connect: Connect, target: Target
) -> None:
    target.on(DELIVERY, behaviour)
    result = connect().get_offers(request=HERO, session_id="s1")
    assert result["target_cookie"]["value"].startswith("session#s1#")
    if response is not None:
        assert json.loads(result["response"].to_json()) == response


def test_empty_response_is_a_result_of_notifications(connect: Connect, target: Target) -> None:
    target.on(DELIVERY, answer(204))
    notification = {"id": "n", "timestamp": 1, "type": "display"}
    request = {"notifications": [notification], "context": {"channel": "web", "beacon": True}}
    result = connect().send_notifications(request=request)
    assert target.bodies[0]["context"]["beacon"] is True
    assert result["response"] == DeliveryResponse()


@pytest.mark.parametrize("status", [301, 302, 304, 307, 400, 401, 403, 404, 413, 422, 429, 500, 501, 599])
def test_other_status_raises_api_exception_without_retry(
    status: int, connect: Connect, target: Target
) -> None:
    body = b"" if status == 304 else b'{"status": %d, "message": "no"}' % status
    target.on(DELIVERY, answer(status, body, {"X-Why": "because"}, "Not so"))
    with pytest.raises(ApiException) as caught:
        connect().get_offers(request=HERO)
    error = caught.value
    assert (error.status, error.reason, error.body) == (status, "Not so", body.decode())
    assert error.headers is not None
    assert error.headers["x-why"] == "because"
    assert isinstance(error, TargetError)
    assert isinstance(error, OpenApiException)
    assert not isinstance(error, TransportError)
    assert len(target.requests) == 1


DEEP = b"[" * 100_000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b'{"status": }',
        b"<html></html>",
        b'{"execute": {"mboxes": {}}}',
        b'{"execute": 5}',
        b'{"id": {"tntId": [1]}}',
        b'{"requestId": "\xff"}',
        b'{"status": 200} trailing',
        b'{"execute": ' + DEEP,
        b'{"unknown": ' + DEEP + b"]" * 100_000 + b"}",
        b'{"execute": {"mboxes": [{"options": [{"content": ' + DEEP + b"]" * 100_000 + b"}]}]}}",
    ],
    ids=[
        "empty",
        "blank",
        "null",
        "list",
        "text",
        "brace",
        "broken",
        "HTML",
        "object for list",
        "number for object",
        "list for text",
        "no UTF-8",
        "trailing text",
        "deep and broken",
        "deep and unknown",
        "deep content",
    ],
)
def test_body_that_is_no_delivery_response_raises_api_exception(
    body: bytes, connect: Connect, target: Target
) -> None:
    target.on(DELIVERY, answer(200, body))
    with pytest.raises(ApiException, match="not a Delivery API response") as caught:
        connect().get_offers(request=HERO)
    assert caught.value.status == 200
    assert caught.value.body == body.decode(errors="replace")
    assert len(target.requests) == 1


@pytest.mark.parametrize(
    ("behaviour", "error", "status"),
    [
        (half(OK, Close()), TransportError, 0),
        (half(OK, Close(reset=True)), TransportError, 0),
        ((Close(),), TransportError, 0),
        ((Close(reset=True),), TransportError, 0),
        (garbage(), TransportError, 0),
        (half(gzip_answer(b'{"status": 200}' * 99), Close()), TransportError, 0),
        (answer(200, b"{}", {"Content-Encoding": "br"}), TransportError, 0),
        (gzip_bomb(65 << 20), TransportError, 0),
        (HANG, DeadlineError, 0),
        (drip(OK, 0.05), DeadlineError, 0),
        ((Send(b"HTTP/1.1 100 Continue\r\n\r\n" * 99, 0.01, 25),), TransportError, 0),
        (redirect_to_itself, ApiException, 302),
        (html_answer(200), ApiException, 200),
        (html_answer(502), ApiException, 502),
    ],
    ids=[
        "cut short",
        "reset half way",
        "closed without a word",
        "reset without a word",
        "no HTTP",
        "packed and cut short",
        "packed as it was not asked for",
        "gzip bomb",
        "silence",
        "slow drip",
        "endless continue",
        "redirect",
        "a portal's page",
        "a gateway's page",
    ],
)
def test_network_fault_raises_one_typed_error(
    behaviour: Behaviour, error: type[ApiException], status: int, connect: Connect, target: Target
) -> None:
    client = connect(timeout=1000)
    client.get_offers(request=HERO)
    target.on(DELIVERY, behaviour)
    with pytest.raises(ApiException) as caught:
        client.get_offers(request=HERO)
    assert type(caught.value) in (error, DeadlineError)
    assert caught.value.status == status
    target.on(DELIVERY, OK)
    assert client.get_offers(request=HERO)["response"].status == 200


@async_is_slow
def test_response_of_ten_megabytes_is_accepted(connect: Connect, target: Target) -> None:
    document = {"execute": {"mboxes": [{"options": [{"content": "x" * 10_000_000}]}]}}
    target.on(DELIVERY, json_answer(document))
    result = connect().get_offers(request=HERO)
    assert len(result["response"].execute.mboxes[0].options[0].content) == 10_000_000


def test_visitor_id_is_in_the_cookie(connect: Connect, target: Target) -> None:
    result = connect().get_offers(request=HERO, session_id="s1")
    assert result["response"].id.tnt_id == TNT_ID
    cookie = result["target_cookie"]
    assert (cookie["name"], cookie["max_age"], cookie["maxAge"]) == ("mbox", 63_244_800, 63_244_800)
    assert "|PC#8f9b2c.35_0#" in cookie["value"]


def test_cookie_without_a_visitor_id_has_only_the_session(connect: Connect, target: Target) -> None:
    target.on(DELIVERY, OK)
    cookie = connect().get_offers(request=HERO, session_id="s1")["target_cookie"]
    assert cookie["max_age"] == 1860
    assert "PC#" not in cookie["value"]
