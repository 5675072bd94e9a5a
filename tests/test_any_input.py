"""Arbitrary input to the public functions (B6): each answers, or raises an error of Targetry's."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.arbitrary_values import MODELS, ODDITIES, any_text, anything, customer_ids, with_anything_in_it
from targetry import (
    DeliveryRequest,
    OptionError,
    TargetClient,
    TargetError,
    TargetryWarning,
    Visitor,
)
from targetry._client.decisions.call_settings import CallSettings
from targetry._client.options import CLIENT_OPTIONS
from targetry.http.protocol import HttpRequest, HttpResponse
from targetry.models import ConstraintError, Option
from targetry.samples import shop

REQUIRED = {"client": "acme", "organization_id": "A@AdobeOrg"}
REQUEST: dict[str, Any] = {
    "requestId": "r1",
    "impressionId": "i1",
    "id": {
        "tntId": "t1.28_0",
        "thirdPartyId": "p1",
        "marketingCloudVisitorId": "m1",
        "customerIds": [{"id": "c1", "integrationCode": "crm", "authenticatedState": "authenticated"}],
    },
    "environmentId": 1,
    "property": {"token": "p"},
    "trace": {"authorizationToken": "t", "usage": {"a": "b"}},
    "context": {
        "channel": "web",
        "mobilePlatform": {"deviceType": "phone", "platformType": "ios", "deviceName": "iPhone8,1"},
        "application": {"id": "a", "name": "n", "version": "1"},
        "screen": {"width": 1, "height": 1, "colorDepth": 1, "orientation": "portrait"},
        "window": {"width": 1, "height": 1},
        "browser": {"host": "h", "webGLRenderer": "w"},
        "address": {"url": "https://shop.example/?a=b", "referringUrl": "https://a.example/"},
        "geo": {"ipAddress": "1.2.3.4", "countryCode": "US", "latitude": 1.5, "city": "Rome"},
        "timeOffsetInMinutes": 60,
        "userAgent": "Mozilla/5.0",
        "clientHints": {"mobile": True, "browserUAWithMajorVersion": '"Chromium";v="100"'},
        "beacon": False,
    },
    "experienceCloud": {
        "audienceManager": {"locationHint": 1, "blob": "b"},
        "analytics": {"logging": "server_side", "supplementalDataId": None, "trackingServer": "t"},
    },
    "execute": {
        "pageLoad": {
            "parameters": {"a": "b"},
            "order": {"id": "o", "total": 1.5, "purchasedProductIds": ["p"]},
        },
        "mboxes": [
            {
                "name": "hero",
                "index": 1,
                "parameters": {"plan": "gold", "a.b": "c"},
                "profileParameters": {"user.x": "y"},
                "product": {"id": "p", "categoryId": "c"},
                "address": {"url": "https://shop.example/"},
            }
        ],
    },
    "prefetch": {
        "views": [{"name": "home", "key": "k", "parameters": {"a": "b"}}],
        "pageLoad": {},
        "mboxes": [{"name": "hero", "index": 2}],
    },
    "notifications": [
        {
            "id": "n1",
            "timestamp": 1,
            "type": "display",
            "tokens": ["t"],
            "mbox": {"name": "hero", "state": "s"},
            "view": {"name": "v"},
        }
    ],
    "telemetry": {"entries": [{"requestId": "r", "timestamp": 1, "execution": 1.5}]},
}
METHODS = ("on-device", "server-side", "hybrid")
OPTIONS = st.sampled_from([*CallSettings.__struct_fields__, "events", "config"])
ARTIFACT = shop()

wrong_requests = with_anything_in_it(REQUEST)
wrong_options = st.dictionaries(OPTIONS | any_text, anything, max_size=3)


class Service:
    """A transport that answers every request, and records nothing."""

    def send(self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None) -> HttpResponse:
        body = ARTIFACT if request.method == "GET" else {"status": 200, "requestId": "r"}
        return HttpResponse(200, "OK", {}, json.dumps(body).encode())

    def close(self) -> None: ...


@pytest.fixture(autouse=True)
def _quietly(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run in a folder where options may make files, and ignore warnings."""
    monkeypatch.chdir(tmp_path_factory.mktemp("any"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TargetryWarning)
        yield


def deciding_by(artifact: Any) -> TargetClient:
    options = {"transport": Service(), "decisioning_method": "on-device", "polling_interval": 0}
    return TargetClient.create({**REQUIRED, **options, "artifact_payload": artifact})


@pytest.fixture(scope="module")
def client() -> Iterator[TargetClient]:
    with deciding_by(ARTIFACT) as client:
        yield client


def made(options: dict[str, Any]) -> None:
    TargetClient.create({**REQUIRED, "transport": Service(), "maximum_wait_ready": 5000, **options}).close(0)


def test_each_option_of_a_client_can_be_each_unusual_value() -> None:
    for name, oddity in product(CLIENT_OPTIONS, ODDITIES):
        with suppress(TargetError):
            made({name: oddity()})


def test_each_option_of_a_call_can_be_each_unusual_value(client: TargetClient) -> None:
    for name, oddity in product((*CallSettings.__struct_fields__, "events", "config"), ODDITIES):
        with suppress(TargetError):
            client.get_offers({"request": REQUEST, name: oddity()})


def test_each_argument_can_be_each_unusual_value(client: TargetClient) -> None:
    calls: tuple[Callable[[Any], object], ...] = (
        client.get_offers,
        client.send_notifications,
        client.get_attributes,
        lambda oddity: client.get_attributes(["hero"], oddity),
        TargetClient.create,
        lambda oddity: Visitor("A@AdobeOrg", None, oddity),
        lambda oddity: Visitor(oddity),
    )
    for call, oddity in product(calls, ODDITIES):
        with suppress(TargetError):
            call(oddity())


def test_model_with_an_arbitrary_value_is_written_or_raises() -> None:
    for name, oddity in product(Option.__struct_fields__, ODDITIES):
        model = Option(**{name: oddity()})
        assert repr(model)
        for write in (model.to_json, model.to_dict, model.to_str):
            with suppress(ConstraintError):
                write()


@given(anything | wrong_options)
def test_any_options_return_or_raise_option_error(client: TargetClient, options: Any) -> None:
    for call in (client.get_offers, client.send_notifications):
        with suppress(TargetError):
            call(options)


@given(wrong_requests, wrong_options, st.sampled_from(METHODS))
def test_any_request_returns_or_raises_option_error(
    client: TargetClient, request: Any, options: Any, method: str
) -> None:
    for call in (client.get_offers, client.send_notifications):
        with suppress(TargetError):
            call({**options, "request": request, "decisioning_method": method})
    with suppress(TargetError):
        client.explain_request(request)


@given(st.data())
def test_any_attribute_of_a_request_can_have_any_value(client: TargetClient, data: st.DataObject) -> None:
    request = DeliveryRequest.from_dict(REQUEST)
    models = st.sampled_from(_models_in(request))
    for _ in range(data.draw(st.integers(1, 2))):
        model = data.draw(models)
        name = data.draw(st.sampled_from(model.__struct_fields__))
        setattr(model, name, data.draw(anything))
    for method in METHODS:
        with suppress(TargetError):
            client.get_offers(request=request, decisioning_method=method)
    with suppress(TargetError):
        client.explain_request(request)


def _models_in(value: Any) -> list[Any]:
    """Return the model itself and all models that it holds."""
    if isinstance(value, list):
        return [model for item in value for model in _models_in(item)]
    if not hasattr(value, "__struct_fields__"):
        return []
    return [value, *(model for name in value.__struct_fields__ for model in _models_in(getattr(value, name)))]


@given(anything | st.lists(any_text), anything | wrong_options, any_text, any_text)
def test_any_attribute_names_return_or_raise_option_error(
    client: TargetClient, names: Any, options: Any, mbox: str, key: str
) -> None:
    try:
        attributes = client.get_attributes(names, options)
    except TargetError:
        return
    if not (isinstance(options, dict) and callable(options.get("callback"))):
        attributes.get_value(mbox, key, default=None)
        attributes.as_object(mbox)


@given(st.dictionaries(st.sampled_from(sorted(CLIENT_OPTIONS)) | any_text, anything, min_size=1, max_size=3))
def test_client_with_any_options_is_created_or_raises(options: dict[str, Any]) -> None:
    try:
        client = TargetClient.create(
            {**REQUIRED, "transport": Service(), "maximum_wait_ready": 5000, **options}
        )
    except TargetError:
        return
    client.close(0)


@given(anything)
def test_client_of_arbitrary_options_raises(options: Any) -> None:
    with pytest.raises(OptionError):
        TargetClient.create(options)


@given(with_anything_in_it(ARTIFACT) | anything)
def test_any_artifact_decides_or_is_rejected(artifact: Any) -> None:
    with suppress(TargetError), deciding_by(artifact) as client:
        client.get_offers({"request": REQUEST})


@given(st.sampled_from(MODELS), anything | with_anything_in_it(REQUEST))
def test_model_is_read_from_any_value_or_raises(model: Any, given: Any) -> None:
    for read in (model.from_dict, model.from_json):
        with suppress(ConstraintError):
            read(given)


@given(anything, anything, anything | customer_ids, anything)
def test_visitor_of_any_values_is_created_or_raises(
    organization: Any, cookie: Any, ids: Any, consumer: Any
) -> None:
    for arguments in ((organization, cookie, ids), ("A@AdobeOrg", cookie), ("A@AdobeOrg", None, ids)):
        try:
            visitor = Visitor(*arguments)
        except (TargetError, TypeError):  # TypeError: a cookie that is no text
            continue
        visitor.get_supplemental_data_id(str(len(str(type(consumer)))))
        assert list(visitor.get_state()) == [arguments[0]]
