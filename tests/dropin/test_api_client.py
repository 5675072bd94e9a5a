"""The bare client of `delivery_api_client`: models to JSON and back, and one POST."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from delivery_api_client import (
    ApiClient,
    ApiException,
    ApiKeyError,
    ApiTypeError,
    ApiValueError,
    Configuration,
    Context,
    DeliveryApi,
    DeliveryRequest,
    DeliveryResponse,
    ExecuteRequest,
    MboxRequest,
    MetricType,
    OpenApiException,
    Option,
    Order,
    RequestDetails,
)
from support.cases import each_case
from targetry.testing import FakeTransport, answer

REQUEST = DeliveryRequest(context=Context(channel="web"), execute=ExecuteRequest(page_load=RequestDetails()))


def api(transport: FakeTransport) -> DeliveryApi:
    configuration = Configuration(host="https://acme.tt.omtrdc.net")
    return DeliveryApi(ApiClient(configuration, "X-Own", "1", transport=transport))


@each_case(
    "value, expected",
    [
        (
            MboxRequest(name="a", profile_parameters={"k": "v"}),
            {"name": "a", "profileParameters": {"k": "v"}},
        ),
        ([Option(type="json", content={"a": None})], [{"type": "json", "content": {"a": None}}]),
        ({"a": (Option(type="html"), 1)}, {"a": [{"type": "html"}, 1]}),
        (MetricType.CLICK, "click"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (Order(time=datetime(2026, 1, 2, tzinfo=UTC)), {"time": "2026-01-02T00:00:00Z"}),
        (None, None),
        (1.5, 1.5),
    ],
    ids=["model", "list", "dict", "enum", "time", "time in a model", "none", "number"],
)
def test_value_becomes_plain_json(value: object, expected: object) -> None:
    assert ApiClient().sanitize_for_serialization(value) == expected


def test_value_other_than_json_raises() -> None:
    with pytest.raises(ApiValueError, match=r"mbox_request\.parameters"):
        ApiClient().sanitize_for_serialization(MboxRequest(parameters={"k": float("nan")}))


@each_case(
    "text, kind, expected",
    [
        ('{"status": 200, "new": 1}', "DeliveryResponse", DeliveryResponse(status=200)),
        (b'{"name": "a"}', MboxRequest, MboxRequest(name="a")),
        ('[{"type": "html"}]', "list[Option]", [Option(type="html")]),
        ('{"a": [{"type": "html"}]}', "dict(str, list[Option])", {"a": [Option(type="html")]}),
        ('{"a": 1}', "object", {"a": 1}),
        ("null", "DeliveryResponse", None),
    ],
    ids=["name", "class", "list", "dict", "object", "null"],
)
def test_json_becomes_the_requested_type(text: str | bytes, kind: Any, expected: object) -> None:
    assert ApiClient().deserialize(SimpleNamespace(data=text), kind) == expected


@each_case(
    "text, kind",
    [
        ("not JSON", "DeliveryResponse"),
        (b"\xff", "DeliveryResponse"),
        ('{"execute": 1}', "DeliveryResponse"),
        ("{}", "Nonsense"),
        ("{}", "list[Option]"),
    ],
)
def test_unreadable_value_raises_one_of_its_exceptions(text: str | bytes, kind: str) -> None:
    with pytest.raises(ApiValueError):
        ApiClient().deserialize(SimpleNamespace(data=text), kind)


def test_written_value_is_read_again() -> None:
    client = ApiClient()
    text = json.dumps(client.sanitize_for_serialization(REQUEST))
    assert client.deserialize(SimpleNamespace(data=text), "DeliveryRequest") == REQUEST


def test_request_is_posted_as_it_is() -> None:
    transport = FakeTransport(answer({"status": 200, "client": "acme"}, headers={"x": "y"}))
    with api(transport).api_client as client:
        response, status, headers = DeliveryApi(client).execute_with_http_info(
            "1@AdobeOrg", "s 1", REQUEST, version="2.0", _request_timeout=1.5
        )
    assert (response, status, headers["x"]) == (DeliveryResponse(status=200, client="acme"), 200, "y")
    asked = transport.asked[0]
    assert asked.request.url == (
        "https://acme.tt.omtrdc.net/rest/v1/delivery?imsOrgId=1%40AdobeOrg&sessionId=s+1&version=2.0"
    )
    assert asked.request.headers["X-Own"] == "1"
    assert asked.timeout == 1.5
    assert json.loads(asked.request.body or b"") == json.loads(REQUEST.to_json())
    assert transport.closed


def test_empty_body_is_an_empty_response() -> None:
    assert api(FakeTransport(answer(status=204))).execute("1@AdobeOrg", "s", REQUEST) == DeliveryResponse()


@pytest.mark.parametrize(
    ("given", "status"),
    [(answer({"status": 400}, status=400), 400), (answer("<html>"), 200)],
    ids=["an error", "no JSON"],
)
def test_body_that_is_no_response_raises_api_exception(given: Any, status: int) -> None:
    with pytest.raises(ApiException) as caught:
        api(FakeTransport(given)).execute("1@AdobeOrg", "s", REQUEST)
    assert caught.value.status == status
    assert caught.value.body


def test_missing_host_is_an_error() -> None:
    with pytest.raises(ApiTypeError, match=r"Configuration\.host"):
        DeliveryApi().execute("1@AdobeOrg", "s", REQUEST)


@pytest.mark.parametrize(
    ("kind", "base"), [(ApiTypeError, TypeError), (ApiValueError, ValueError), (ApiKeyError, KeyError)]
)
def test_exception_is_also_the_kind_that_python_has_for_it(
    kind: type[ApiValueError], base: type[Exception]
) -> None:
    error = kind("wrong", path_to_item=["mboxes", 0])
    assert isinstance(error, base)
    assert isinstance(error, OpenApiException)
    assert "wrong at ['mboxes'][0]" in str(error)
