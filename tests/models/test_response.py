"""Responses are accepted as far as they can be understood."""

import json

import pytest

from support.cases import each_case
from targetry.models import (
    Action,
    ConstraintError,
    DeliveryResponse,
    ExecuteResponse,
    MboxResponse,
    Metric,
    Option,
    PrefetchMboxResponse,
    UnexpectedError,
    View,
    VisitorId,
)

ANSWER = {
    "status": 200,
    "requestId": "5efee0d8",
    "client": "demo",
    "id": {"tntId": "abc.28_0"},
    "edgeHost": "mboxedge28.tt.omtrdc.net",
    "prefetch": {
        "mboxes": [
            {
                "index": 1,
                "name": "SummerOffer",
                "options": [{"type": "html", "content": "<p/>"}],
                "state": "s",
            }
        ],
        "views": [
            {"id": 1, "name": "home", "metrics": [{"type": "click", "selector": "#a", "eventToken": "t"}]}
        ],
    },
    "telemetryServerToken": "x",
}


def test_response_becomes_models_of_the_declared_classes():
    response = DeliveryResponse.from_json(json.dumps(ANSWER))
    assert response.id == VisitorId(tnt_id="abc.28_0")
    assert response.prefetch.mboxes == [
        PrefetchMboxResponse(
            index=1, name="SummerOffer", options=[Option(type="html", content="<p/>")], state="s"
        )
    ]
    assert response.prefetch.views == [
        View(name="home", metrics=[Metric(type="click", selector="#a", event_token="t")])
    ]
    assert response.telemetry_server_token == "x"


def test_empty_body_is_a_response():
    assert DeliveryResponse.from_json("{}") == DeliveryResponse()


@each_case("content", [42, True, 1.5, "", "x", [], {}, [1, [None]], {"a": {"b": None}}], ids=str)
def test_content_is_any_json(content):
    text = json.dumps({"type": "json", "content": content})
    assert Option.from_json(text).content == content
    assert Action.from_json(text).content == content
    assert json.loads(Option.from_json(text).to_json()) == json.loads(text)


@each_case(
    "wire, expected",
    [
        pytest.param(
            {"id": {"tntId": "t" * 200}},
            {"id": VisitorId(tnt_id="t" * 200)},
            id="longer than a request may say",
        ),
        pytest.param({"status": "200"}, {"status": 200}, id="number as text"),
        pytest.param({"status": 200.0}, {"status": 200}, id="whole number with a point"),
        pytest.param({"requestId": 5}, {"request_id": "5"}, id="text as number"),
        pytest.param({"requestId": None}, {}, id="null"),
        pytest.param({"somethingNew": {"a": []}}, {}, id="unknown key"),
        pytest.param(
            {"execute": {"mboxes": [{"index": "1", "options": [{"type": "hologram"}]}]}},
            {"execute": ExecuteResponse(mboxes=[MboxResponse(index=1, options=[Option(type="hologram")])])},
            id="unknown word, and a cast in depth",
        ),
    ],
)
@each_case("read", ["from_dict", "from_json"])
def test_slightly_different_types_are_accepted(wire, expected, read):
    given = json.dumps(wire) if read == "from_json" else wire
    assert getattr(DeliveryResponse, read)(given) == DeliveryResponse(**expected)


def test_customer_id_of_a_response_can_be_incomplete_with_unknown_values():
    response = DeliveryResponse.from_dict(
        {"id": {"customerIds": [{"id": "a", "authenticatedState": "retired"}]}}
    )
    assert response.id.customer_ids[0].authenticated_state == "retired"
    assert response.id.customer_ids[0].integration_code is None


@each_case(
    "wire, message",
    [
        ({"status": "fine"}, "response.status: must be an integer, not str"),
        ({"execute": []}, "response.execute: must be ExecuteResponse, not list"),
        ({"execute": {"mboxes": [None]}}, "response.execute.mboxes[0]: must not be null"),
        (
            {"prefetch": {"metrics": [{"selector": []}]}},
            "response.prefetch.metrics[0].selector: must be a string, not list",
        ),
        (
            {"execute": {"pageLoad": {"trace": []}}},
            "response.execute.page_load.trace: must be a mapping, not list",
        ),
    ],
)
def test_invalid_value_raises_with_a_path(wire, message):
    with pytest.raises(ConstraintError) as caught:
        DeliveryResponse.from_dict(wire)
    assert str(caught.value) == message


def test_body_of_an_error_can_be_read():
    assert UnexpectedError.from_json('{"status":400,"message":"no"}') == UnexpectedError(400, "no")
