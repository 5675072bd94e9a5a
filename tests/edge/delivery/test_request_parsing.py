from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.strategies import instances
from support.cases import each_case
from support.edge import HERO, QUERY, WEB, ask, response_to
from targetry.edge.delivery.request_parsing import parse_body, parse_query, query_fields
from targetry.edge.http.errors import RequestRejected
from targetry.models import DeliveryRequest

NOTIFICATION = {"id": "n", "type": "display", "timestamp": 1}


@each_case(
    "query, message",
    [
        ("", "query: imsOrgId or client is required"),
        ("sessionId=1", "query: imsOrgId or client is required"),
        ("imsOrgId=&client=&sessionId=1", "query: imsOrgId or client is required"),
        ("client=acme", "query.sessionId: is required"),
        ("client=acme&sessionId=", "query.sessionId: is required"),
        ("client=acme&sessionId=" + "s" * 129, "query.sessionId: must have at most 128 characters, has 129"),
        ("client=acme&sessionId=a+b", "query.sessionId: must be printable, without space, '?' and '/'"),
        ("client=acme&sessionId=a%2Fb", "query.sessionId: must be printable, without space, '?' and '/'"),
        ("client=acme&sessionId=a%00", "query.sessionId: must be printable, without space, '?' and '/'"),
        (
            "client=other&sessionId=1",
            "client 'other' is not served here; served: acme (option --client)",
        ),
        ("a=1&" * 101, "query: has more than 100 fields"),
    ],
)
def test_invalid_query_is_rejected_with_the_field(query: str, message: str) -> None:
    assert response_to(HERO, query) == {"status": 400, "message": message}
    assert ask(HERO, query).status == 400


@pytest.mark.parametrize(
    "query", [QUERY, "client=acme&sessionId=" + "s" * 128, "client=acme&sessionId=1&version=2"]
)
def test_client_or_organization_is_enough(query: str) -> None:
    assert ask(HERO, query).status == 200


def notified(**changes: Any) -> dict[str, Any]:
    return {"context": WEB, "notifications": [{**NOTIFICATION, **changes}]}


def asked(mode: str, **locations: Any) -> dict[str, Any]:
    return {"context": WEB, mode: locations}


@each_case(
    "request_, message",
    [
        ({}, "request.context: is required"),
        ([], "request: must be a JSON object"),
        ({"context": {"channel": "web", "userAgent": {}}}, "request.context.userAgent: "),
        ({"context": WEB, "execute": "hero"}, "request.execute: "),
        ({"context": WEB, "execute": {"mboxes": ["hero"]}}, "request.execute.mboxes[0]: "),
        (
            {"context": WEB, "execute": {"mboxes": [{"name": "a", "index": "first"}]}},
            "request.execute.mboxes[0].index: ",
        ),
        (
            {"context": WEB, "execute": {"mboxes": [{"name": "a", "order": {"total": "9,99"}}]}},
            "request.execute.mboxes[0].order.total: ",
        ),
        (
            {"context": WEB, "execute": {"mboxes": [{"name": "a", "parameters": {"p": {"q": 1}}}]}},
            "request.execute.mboxes[0].parameters['p']: ",
        ),
        (
            {"context": WEB, "experienceCloud": {"audienceManager": {"locationHint": "0"}}},
            "request.experienceCloud.audienceManager.locationHint: ",
        ),
        ({"context": WEB, "requestId": "r" * 129}, "request.requestId: "),
        (
            {"context": WEB, "id": {"customerIds": [{"id": "1"}]}},
            "request.id.customerIds[0].integrationCode: ",
        ),
        ({"context": WEB, "id": {"tntId": ".35_0"}}, "request.id.tntId: has nothing before"),
        ({"context": WEB, "id": {"tntId": "."}}, "request.id.tntId: has nothing before"),
        (
            {"context": WEB, "execute": {"mboxes": [{"index": 1}]}},
            "request.execute.mboxes[0].name: is required",
        ),
        (
            {"context": WEB, "prefetch": {"mboxes": [{"name": "a"}, {"name": ""}]}},
            "request.prefetch.mboxes[1].name: is required",
        ),
        (
            {
                "context": WEB,
                "execute": {"mboxes": [{"name": "a", "profileParameters": {"user_agent": "x" * 5001}}]},
            },
            "request.execute.mboxes[0].profileParameters['user_agent']: ",
        ),
        (notified(id=""), "request.notifications[0].id: must be a text that is not empty"),
        (notified(id={}), "request.notifications[0].id: "),
        (notified(type="seen"), "request.notifications[0].type: must be click or display"),
        (notified(timestamp="noon"), "request.notifications[0].timestamp: "),
        (notified(timestamp=None), "request.notifications[0].timestamp: "),
        (notified(timestamp=-1), "request.notifications[0].timestamp: "),
        (notified(mbox={"name": "a"}, view={"name": "b"}), "request.notifications[0]: mbox and view exclude"),
        (notified(tokens=[{}]), "request.notifications[0].tokens[0]: "),
        (
            notified(order={"total": 1e308}),
            "request.notifications[0].order.total: must be at most 1,000,000,000,000, not 1e+308",
        ),
        (notified(order={"total": -0.01}), "request.notifications[0].order.total: "),
        (notified(order={"total": 10**400}), "request.notifications[0].order.total: must be a finite"),
        (
            asked("execute", mboxes=[{"name": "a"}, {"name": "b", "order": {"total": 1e13}}]),
            "request.execute.mboxes[1].order.total: must be at most",
        ),
        (
            asked("prefetch", mboxes=[{"name": "a", "order": {"total": 1e13}}]),
            "request.prefetch.mboxes[0].order.total: must be at most",
        ),
        (
            asked("execute", pageLoad={"order": {"total": 1e13}}),
            "request.execute.pageLoad.order.total: must be at most",
        ),
        (
            asked("prefetch", pageLoad={"order": {"total": 1e13}}),
            "request.prefetch.pageLoad.order.total: must be at most",
        ),
        (
            asked("prefetch", views=[{"order": {"total": 1e13}}]),
            "request.prefetch.views[0].order.total: must be at most",
        ),
    ],
    ids=lambda value: str(value)[:50],
)
def test_invalid_request_is_rejected_with_the_path(request_: Any, message: str) -> None:
    answer = response_to(request_)
    assert answer["status"] == 400
    assert answer["message"].startswith(message)


@each_case(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"\xef\xbb\xbf",
        b"nul",
        b'{"context": NaN}',
        b'{"a":"\\ud800"}',
        b"[" * 20_000,
        b'{"a":' * 20_000,
    ],
)
def test_invalid_json_is_rejected(body: bytes) -> None:
    answer = ask(body)
    assert answer.status == 400
    path = "request.a: " if b"ud800" in body else "request: "
    assert json.loads(answer.body)["message"].startswith(path)


def test_largest_order_total_is_accepted() -> None:
    assert ask(notified(order={"id": "o", "total": 1e12})).status == 200


def test_mboxes_without_an_index_get_their_position() -> None:
    request = {
        "context": WEB,
        "execute": {"mboxes": [{"name": "a"}, {"name": "b", "index": 7}, {"name": "c"}]},
    }
    assert [mbox["index"] for mbox in response_to(request)["execute"]["mboxes"]] == [0, 7, 2]


@each_case(
    "request_",
    [
        {**HERO, "trace": {}},
        {**HERO, "context": {"channel": "web", "geo": {"countryCode": "GERMANY"}}},
        {**HERO, "qaMode": {"token": "t"}, "preview": {"token": "p"}},
        {**HERO, "somethingNew": {"a": 1}},
        {"context": WEB, "execute": {}, "prefetch": {}, "notifications": []},
    ],
    ids=lambda value: str(list(value)),
)
def test_limits_without_meaning_here_do_not_apply(request_: Any) -> None:
    assert ask(request_).status == 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.sampled_from(sorted(HERO)), inner, max_size=4)
    ),
    max_leaves=12,
)
PARTS = st.sampled_from(
    [
        "context",
        "id",
        "execute",
        "prefetch",
        "notifications",
        "telemetry",
        "trace",
        "property",
        "mboxes",
        "views",
        "pageLoad",
    ]
)
NEAR = st.fixed_dictionaries(
    {"context": st.just(WEB)},
    optional={
        name: JSON | st.dictionaries(PARTS, JSON, max_size=3)
        for name in ("id", "execute", "prefetch", "notifications", "telemetry", "trace", "property")
    },
)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()), st.text() | st.just(QUERY))
def test_arbitrary_bytes_and_queries_raise_no_other_error(body: bytes, query: str) -> None:
    assert ask(body, query).status in (200, 400)


@given(NEAR)
def test_almost_valid_requests_raise_no_other_error(request_: dict[str, Any]) -> None:
    assert ask(request_).status in (200, 400)


@given(st.text(st.sampled_from("ab=&%+20C3A9;# \x00é"), max_size=30))
def test_query_fields_match_the_standard_library(text: str) -> None:
    expected: dict[str, str] = {}
    for name, value in parse_qsl(text, errors="replace"):
        expected.setdefault(name, value)
    assert query_fields(text) == expected


def outcome(parse: Any, given_: Any) -> Any:
    """Return the result, or status and message of the rejection."""
    try:
        return parse(given_)
    except RequestRejected as rejected:
        return rejected.status, rejected.message


@given(
    instances(DeliveryRequest).map(msgspec.json.encode) | NEAR.map(lambda value: json.dumps(value).encode())
)
@example(json.dumps({**HERO, "property": {"token": ""}}).encode())
@example(json.dumps({**HERO, "id": {"tntId": ".35_0"}}).encode())
@example(json.dumps({**HERO, "prefetch": {"mboxes": [{}]}}).encode())
@example(json.dumps({**HERO, "prefetch": {"views": [{}] * 201}}).encode())
@example(json.dumps({**HERO, "notifications": [{"id": "1", "type": "seen", "timestamp": 1}]}).encode())
def test_body_is_read_alike_with_and_without_byte_order_mark(body: bytes) -> None:
    """A byte order mark excludes the decoding in one step that the usual body takes."""
    assert outcome(parse_body, body) == outcome(parse_body, b"\xef\xbb\xbf" + body)


VALUES = st.text(st.sampled_from("aZ09.%4é-_/ +"), max_size=5) | st.sampled_from(["X%40AdobeOrg", "s" * 129])


@given(st.sampled_from(["imsOrgId", "client", "other"]), VALUES, VALUES, st.none() | VALUES)
def test_query_is_read_alike_with_and_without_another_field(
    name: str, value: str, session: str, version: str | None
) -> None:
    query = f"{name}={value}&sessionId={session}" + ("" if version is None else f"&version={version}")
    assert outcome(parse_query, query) == outcome(parse_query, f"{query}&another=1")
