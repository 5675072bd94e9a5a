"""`TargetClient` on device, from its options to its threads."""

from __future__ import annotations

import base64
import copy
import json
import threading
from collections.abc import Callable, Iterator
from itertools import cycle
from multiprocessing.pool import AsyncResult
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.cases import each_case
from support.device import artifact, mboxes_of, request_for, rule, window
from targetry import (
    ArtifactError,
    ArtifactVersionError,
    AttributeNotFoundError,
    AttributesProvider,
    ChannelType,
    ClosedError,
    Context,
    CustomerId,
    DeliveryRequest,
    ExecuteRequest,
    MboxRequest,
    ModelProperty,
    NotReadyError,
    OptionError,
    PrefetchRequest,
    TargetClient,
    TargetDeliveryResponse,
    TargetryWarning,
    ViewRequest,
    VisitorId,
)
from targetry.errors import ApiException, TransportError
from targetry.messages import MESSAGES
from targetry.testing import FakeTransport, HttpRequest, HttpResponse, answer

LONG_S = 10.0  # for what is sure to come
ORGANIZATION = "0DD934B85278256B0A490D44@AdobeOrg"
PLANS = artifact(
    {
        "hero": [rule(1, content="hello ${user}")],
        "flags": [rule(2, content={"enabled": True, "plan": "gold"}, kind="json", name="flags")],
        "cart": [rule(3, content={"plan": "silver"}, kind="json", name="cart")],
        "nothing": [rule(4, False)],
    },
    {"home": [rule(5, name="home")]},
)


class Logger:
    """Logger that records its messages, with the two methods that are needed."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def debug(self, message: str, *args: object) -> None: ...

    def error(self, message: str, *args: object) -> None:
        self.lines.append(message % args if args else message)


def offline(request: HttpRequest) -> HttpResponse:
    raise TransportError(reason=f"nothing is to ask {request.url}")


def options(**more: Any) -> dict[str, Any]:
    """Of an on-device client that has its rules and no network."""
    base = {
        "client": "acme",
        "organization_id": ORGANIZATION,
        "decisioning_method": "on-device",
        "polling_interval": 0,
        "telemetry_enabled": False,
        "artifact_payload": PLANS,
        "transport": FakeTransport(by=offline),
        "send_notification_func": lambda given: None,
        "logger": Logger(),
    }
    return {key: value for key, value in {**base, **more}.items() if value is not ...}


@pytest.fixture
def client() -> Iterator[TargetClient]:
    with TargetClient.create(options()) as client:
        yield client


def offers(result: TargetDeliveryResponse) -> list[Any]:
    execute = result["response"].execute
    return [option.content for mbox in execute.mboxes or () for option in mbox.options or ()]


# The documented way


def test_documented_on_device_program_works_unchanged() -> None:
    """The handler takes no argument and uses the variable that `create` is assigned to."""
    done = threading.Event()
    results: list[Any] = []

    def target_client_ready() -> None:
        try:
            context = Context(channel=ChannelType.WEB)
            mboxes = [MboxRequest(name="flags", index=1)]
            execute = ExecuteRequest(mboxes=mboxes)
            delivery_request = DeliveryRequest(context=context, execute=execute)
            results.append(target_client.get_offers({"request": delivery_request}))
        finally:
            done.set()

    target_client = TargetClient.create(options(events={"client_ready": target_client_ready}))
    with target_client:
        assert done.wait(LONG_S)
        (result,) = results
    assert result["response"].execute.mboxes[0].options[0].content == {"enabled": True, "plan": "gold"}
    assert result["response"].execute.mboxes[0].index == 1
    assert result["meta"] == {"decisioning_method": "on-device", "remote_mboxes": [], "remote_views": []}
    assert result["visitor_state"] is None
    assert result["target_cookie"]["name"] == "mbox"


def test_documented_attributes_program_works() -> None:
    with TargetClient.create(options()) as target_client:
        attributes = target_client.get_attributes(["flags", "cart"])
        assert attributes.get_value("flags", "plan") == "gold"
        assert attributes.as_object("cart") == {"plan": "silver"}


# Create


def test_options_can_be_a_dict_or_keywords_or_both() -> None:
    given = options()
    for client in (
        TargetClient.create(given),
        TargetClient.create(**given),
        TargetClient.create({"client": "acme"}, **{key: given[key] for key in given if key != "client"}),
    ):
        with client:
            assert offers(client.get_offers(request=request_for("flags"))) == [
                {"enabled": True, "plan": "gold"}
            ]


def test_options_of_the_caller_are_not_changed() -> None:
    given = options()
    before = dict(given)
    payload = copy.deepcopy(PLANS)
    with TargetClient.create(given) as client:
        client.get_offers(request=request_for("hero"))
    assert given == before
    assert payload == PLANS


@pytest.mark.parametrize("name", ["client_ready with an argument", "without"])
def test_client_ready_is_emitted_once_after_create_returned(name: str) -> None:
    emitted: list[Any] = []
    returned, done = threading.Event(), threading.Event()

    def note(*event: Any) -> None:
        emitted.append((returned.is_set(), threading.current_thread(), *event))
        done.set()

    def with_argument(event: Any) -> None:
        note(event)

    def without() -> None:
        note()

    handler = with_argument if name.endswith("argument") else without
    client = TargetClient.create(options(events={"client_ready": handler}))
    returned.set()
    with client:
        assert done.wait(LONG_S)
    ((was_returned, thread, *event),) = emitted
    assert was_returned
    assert thread is not threading.current_thread()
    assert [dict(one) for one in event] == ([{"type": "client_ready"}] if handler is with_argument else [])


def test_closed_client_emits_no_client_ready() -> None:
    emitted: list[Any] = []
    client = TargetClient.create(options(events={"client_ready": emitted.append}))
    threads = [thread for thread in threading.enumerate() if thread.name == "targetry-client-ready"]
    client.close()
    for thread in threads:
        thread.join(LONG_S)
    assert emitted == []


def test_client_cannot_be_made_without_create() -> None:
    for arguments in ((), ({"client": "acme"},), ({"internal": True},)):
        with pytest.raises(OptionError) as caught:
            TargetClient(*arguments)
        assert str(caught.value) == MESSAGES["PRIVATE_CONSTRUCTOR"]


@each_case(
    "more, text",
    [
        ({"client": None}, MESSAGES["CLIENT_REQUIRED"]),
        ({"organization_id": ""}, MESSAGES["ORG_ID_REQUIRED"]),
        ({"decisioning_method": "on_device"}, MESSAGES["DECISIONING_METHOD_INVALID"]),
        ({"timeout": -1}, "timeout: "),
        ({"events": {"client_ready": 5}}, "events.client_ready: "),
    ],
)
def test_invalid_options_raise_at_once(more: dict[str, Any], text: str) -> None:
    with pytest.raises(OptionError) as caught:
        TargetClient.create(options(**more))
    assert str(caught.value).startswith(text)


def test_no_options_are_an_error() -> None:
    nothings: list[Any] = [None, {}]
    for nothing in nothings:
        with pytest.raises(OptionError, match=MESSAGES["OPTIONS_REQUIRED"]):
            TargetClient.create(nothing)


def test_unknown_option_is_a_warning_in_a_dict_and_an_error_as_keyword() -> None:
    with pytest.warns(TargetryWarning, match="polling_intervall.*polling_interval"):
        TargetClient.create(options(polling_intervall=5)).close()
    with pytest.raises(TypeError, match="polling_intervall"):
        TargetClient.create(**options(polling_intervall=5))


def test_client_shows_its_options_logger_and_engine() -> None:
    logger = Logger()
    with TargetClient.create(options(logger=logger)) as client:
        assert client.config["client"] == "acme"
        assert client.config["timeout"] == 3000
        assert client.logger is logger
        assert client.decisioning_engine is not None
        assert client.decisioning_engine.is_ready()
        assert client.decisioning_engine.get_raw_artifact() == PLANS
    assert TargetClient.TargetCookieName == "mbox"
    assert TargetClient.TargetLocationHintCookieName == "mboxEdgeCluster"
    assert TargetClient.get_visitor_cookie_name("A@AdobeOrg") == "AMCV_A@AdobeOrg"


# Where the artifact comes from


def obfuscated(document: dict[str, Any]) -> bytes:
    key = "k" * 32
    stream = cycle((ORGANIZATION + key).encode())
    hidden = bytes(byte ^ mask for byte, mask in zip(json.dumps(document).encode(), stream, strict=False))
    return b"ATOD:001" + key.encode() + hidden


PAYLOADS: dict[str, Any] = {
    "dict": PLANS,
    "text": json.dumps(PLANS),
    "bytes": json.dumps(PLANS).encode(),
    "rules.bin": obfuscated(PLANS),
}


@each_case("name", PAYLOADS)
def test_artifact_can_be_a_payload(name: str) -> None:
    with TargetClient.create(options(artifact_payload=PAYLOADS[name])) as client:
        assert offers(client.get_offers(request=request_for("cart"))) == [{"plan": "silver"}]


@pytest.mark.parametrize("name", PAYLOADS)
def test_artifact_can_be_a_file(name: str, tmp_path: Path) -> None:
    file = tmp_path / "rules of ours.json"
    payload = PAYLOADS[name]
    text = json.dumps(payload) if isinstance(payload, dict) else payload
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    for location in (file, str(file), file.as_uri()):
        with TargetClient.create(options(artifact_payload=..., artifact_location=location)) as client:
            assert offers(client.get_offers(request=request_for("cart"))) == [{"plan": "silver"}]


def test_file_that_is_not_there_is_an_option_error(tmp_path: Path) -> None:
    for location in (tmp_path / "none.json", (tmp_path / "none.json").as_uri(), tmp_path):
        with pytest.raises(OptionError) as caught:
            TargetClient.create(options(artifact_payload=..., artifact_location=location))
        assert caught.value.path == "artifact_location"


UNUSABLE = {
    "no JSON": b"<html>",
    "cut": json.dumps(PLANS)[:-1].encode(),
    "binary": bytes(range(256)),
    "empty": b"{}",
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_payload_or_a_file_that_cannot_be_used_is_an_artifact_error(name: str, tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    file.write_bytes(UNUSABLE[name])
    before = set(threading.enumerate())
    with pytest.raises(ArtifactError):
        TargetClient.create(options(artifact_payload=UNUSABLE[name]))
    with pytest.raises(ArtifactError):
        TargetClient.create(options(artifact_payload=..., artifact_location=file))
    assert set(threading.enumerate()) <= before  # one of an earlier test can end


def test_artifact_of_another_version_has_its_own_error() -> None:
    with pytest.raises(ArtifactVersionError, match=r"\(2\.0\) is not supported"):
        TargetClient.create(options(artifact_payload={**PLANS, "version": "2.0"}))


def test_file_that_is_too_large_is_an_artifact_error(tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(PLANS))
    with pytest.raises(ArtifactError, match="larger than 100 bytes"):
        TargetClient.create(options(artifact_payload=..., artifact_location=file, artifact_max_bytes=100))


def test_without_rules_there_is_a_client_but_no_decision() -> None:
    given = options(
        artifact_payload=..., artifact_location="https://cdn.example/rules.json", maximum_wait_ready=1
    )
    with TargetClient.create(given) as client:
        with pytest.raises(NotReadyError) as caught:
            client.get_offers(request=request_for("hero"))
        assert str(caught.value) == "Unable to fulfill request; decisioning engine not ready."
        assert client.decisioning_engine is not None
        assert not client.decisioning_engine.is_ready()
        assert client.decisioning_engine.get_raw_artifact() is None


def test_rules_that_cannot_be_used_are_logged_when_the_artifact_comes() -> None:
    logger = Logger()
    document = mboxes_of(rule(1, {"nope": 1}), rule(2, content="good"))
    with TargetClient.create(options(artifact_payload=document, logger=logger)) as client:
        result = client.get_offers(request=request_for("hero"))
    assert offers(result) == ["good"]
    assert result["meta"]["remote_mboxes"] == ["hero"]
    (line,) = logger.lines
    assert "rule 0 of mbox 'hero': unknown operator 'nope'" in line


def test_rule_that_fails_is_logged_at_the_decision() -> None:
    logger = Logger()
    document = mboxes_of(rule(7, {"*": []}), rule(2, content="good"))
    with TargetClient.create(options(artifact_payload=document, logger=logger)) as client:
        assert offers(client.get_offers(request=request_for("hero"))) == ["good"]
    (line,) = logger.lines
    assert "activity 7" in line


# get_offers

WIRE: dict[str, Any] = {
    "id": {"tntId": "t.28_0"},
    "context": {"channel": "web"},
    "execute": {"mboxes": [{"name": "hero", "parameters": {"user": "Ada"}}]},
}


def test_request_can_be_a_model_or_its_wire_json() -> None:
    with TargetClient.create(options()) as client:
        for request in (WIRE, DeliveryRequest.from_dict(WIRE)):
            for call in (
                {"request": request},
                {"events": request} if request is not WIRE else {"request": request},
            ):
                assert offers(client.get_offers(call)) == ["hello Ada"]
            assert offers(client.get_offers(request=request)) == ["hello Ada"]


def test_result_is_a_dict_with_the_documented_keys(client: TargetClient) -> None:
    result = client.get_offers({"request": WIRE, "session_id": "s-1"})
    assert isinstance(result, dict)
    assert isinstance(result, TargetDeliveryResponse)
    assert {"visitor_state", "request", "response", "target_cookie", "meta"} <= set(result)
    assert result["request"].id.tnt_id == "t.28_0"
    assert result["response"].status == 200
    assert "s-1" in result["target_cookie"]["value"]
    assert result["target_cookie"]["max_age"] == result["target_cookie"]["maxAge"]


def test_visitor_without_an_id_gets_one_and_keeps_it_by_the_cookie() -> None:
    halves = mboxes_of(*(rule(1, window(low, low + 50), content=low) for low in (0, 50)))
    with TargetClient.create(options(artifact_payload=halves)) as client:
        seen = set()
        for _ in range(30):
            first = client.get_offers(request=request_for("hero", id=None))
            tnt_id = first["response"].id.tnt_id
            again = client.get_offers(
                request=request_for("hero", id=None), target_cookie=first["target_cookie"]["value"]
            )
            assert again["response"].id.tnt_id == tnt_id
            assert offers(again) == offers(first)
            seen.add((tnt_id, *offers(first)))
    assert len({tnt_id for tnt_id, _ in seen}) == 30
    assert {content for _, content in seen} == {0, 50}


def test_customer_ids_alone_do_not_move_a_visitor_between_experiences() -> None:
    halves = artifact(
        {"a": [rule(1, window(low, low + 50), content=low) for low in (0, 50)]},
        {},
    )
    crm = CustomerId(id="crm", integration_code="x", authenticated_state="authenticated")
    with TargetClient.create(options(artifact_payload=halves)) as client:
        for _ in range(20):
            result = client.get_offers(request=request_for("a", "a", "a", id={}), customer_ids=[crm])
            assert len(offers(result)) == 3
            assert len(set(offers(result))) == 1


def test_property_of_the_client_holds_where_the_request_names_none() -> None:
    document = mboxes_of(
        rule(1, content="one", propertyTokens=["one"]), rule(2, content="two", propertyTokens=["two"])
    )
    with TargetClient.create(options(artifact_payload=document, property_token="two")) as client:
        assert offers(client.get_offers(request=request_for("hero"))) == ["two"]
        named = DeliveryRequest.from_dict({**WIRE, "property": {"token": "one"}})
        assert offers(client.get_offers(request=named)) == ["one"]
        named._property = ModelProperty(token="three")
        assert offers(client.get_offers(request=named)) == []


def test_request_of_the_caller_is_not_changed(client: TargetClient) -> None:
    request = DeliveryRequest(
        id=VisitorId(third_party_id="x"),
        context=Context(channel="web"),
        execute=ExecuteRequest(
            mboxes=[MboxRequest(name="hero", parameters={"user": "A"}), MboxRequest(name="")]
        ),
        prefetch=PrefetchRequest(views=[ViewRequest()]),
    )
    before = copy.deepcopy(request)
    wire, wire_before = copy.deepcopy(WIRE), copy.deepcopy(WIRE)
    result = client.get_offers(request=request)
    result["request"].execute.mboxes[0].parameters["user"] = "spoilt"
    result["request"].context.channel = "mobile"
    client.get_offers(request=wire)["request"].execute.mboxes[0].parameters["user"] = "spoilt"
    assert request == before
    assert wire == wire_before


def test_call_can_choose_its_method() -> None:
    transport = FakeTransport(by=lambda request: answer({"status": 200, "client": "acme"}))
    with TargetClient.create(
        options(transport=transport, decisioning_method="hybrid", target_location_hint="28")
    ) as client:
        local = client.get_offers(request=WIRE)
        assert local["meta"]["decisioning_method"] == "on-device"
        assert transport.requests == []
        remote = client.get_offers(request=WIRE, decisioning_method="server-side")
        assert remote["meta"]["decisioning_method"] == "server-side"
        assert len(transport.requests) == 1


def test_hybrid_calls_the_server_for_remote_locations() -> None:
    transport = FakeTransport(by=lambda request: answer({"status": 200, "client": "acme"}))
    with TargetClient.create(
        options(transport=transport, decisioning_method="hybrid", target_location_hint="28")
    ) as client:
        result = client.get_offers(request=request_for("hero", "unknown"))
    assert result["meta"] == {
        "decisioning_method": "server-side",
        "remote_mboxes": ["unknown"],
        "remote_views": [],
    }
    assert len(transport.requests) == 1


def test_on_device_decides_alone_and_lists_remote_locations(client: TargetClient) -> None:
    result = client.get_offers(request=request_for("hero", "unknown"))
    assert result["response"].status == 206
    assert result["meta"] == {
        "decisioning_method": "on-device",
        "remote_mboxes": ["unknown"],
        "remote_views": [],
    }


def test_trace_is_in_the_result() -> None:
    with TargetClient.create(options()) as client:
        result = client.get_offers(request={**WIRE, "trace": {}}, session_id="s-1")
    (trace,) = result["trace"]
    assert trace["request"]["sessionId"] == "s-1"
    assert trace["artifact"]["artifactLocation"] == "Not Applicable"
    assert trace["artifact"]["artifactVersion"] == "1.0.0"
    assert trace["artifact"]["pollingInterval"] == 0
    assert trace["artifact"]["artifactLastRetrieved"].endswith("Z")
    assert [campaign["id"] for campaign in trace["campaigns"]] == [1]


MISTAKES = [
    ({}, "options", MESSAGES["OPTIONS_REQUIRED"]),
    ({"request": None}, "request", MESSAGES["REQUEST_REQUIRED"]),
    ({"request": {}}, "request", MESSAGES["REQUEST_REQUIRED"]),
    ({"request": "x"}, "request", MESSAGES["REQUEST_REQUIRED"]),
    ({"request": {"execute": {}}}, "request.execute", MESSAGES["EXECUTE_FIELDS_REQUIRED"]),
    ({"request": {"prefetch": {"mboxes": []}}}, "request.prefetch", MESSAGES["PREFETCH_FIELDS_REQUIRED"]),
    ({"request": WIRE, "callback": 5}, "callback", MESSAGES["INVALID_CALLBACK"]),
    (
        {"request": WIRE, "decisioning_method": "x"},
        "decisioning_method",
        MESSAGES["DECISIONING_METHOD_INVALID"],
    ),
    ({"request": WIRE, "target_cookie": 5}, "target_cookie", "target_cookie: "),
    (
        {"request": {"execute": {"mboxes": [{"name": "a"}, {"name": 5}]}}},
        "request.execute.mboxes[1].name",
        "request.execute.mboxes[1].name: ",
    ),
    (
        {"request": {"execute": {"mboxes": [{"name": "a", "parameters": {"k": "x" * 5001}}]}}},
        "request.execute.mboxes[0].parameters['k']",
        "request.execute.mboxes[0].parameters['k']: ",
    ),
    ({"request": {"context": {"channel": "tv"}}}, "request.context.channel", "request.context.channel: "),
]


@pytest.mark.parametrize(("given", "path", "text"), MISTAKES, ids=[path for _, path, _ in MISTAKES])
def test_wrong_field_is_named_with_its_path(client: TargetClient, given: Any, path: str, text: str) -> None:
    with pytest.raises(OptionError) as caught:
        client.get_offers(given)
    assert str(caught.value).startswith(text)
    assert caught.value.path.replace('"', "'") == path


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.binary(max_size=4)
    | st.text(st.characters(exclude_categories=()), max_size=8)
    | st.sampled_from(["hero", "web", "home", "x" * 6000, object(), MboxRequest(name="hero")]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "name",
                    "index",
                    "parameters",
                    "address",
                    "url",
                    "geo",
                    "city",
                    "mboxes",
                    "pageLoad",
                    "views",
                ]
            )
            | st.text(max_size=3),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)
FIELDS = [
    *(
        "id",
        "tntId",
        "context",
        "channel",
        "userAgent",
        "clientHints",
        "address",
        "url",
        "geo",
        "city",
        "execute",
    ),
    *(
        "prefetch",
        "mboxes",
        "views",
        "pageLoad",
        "parameters",
        "name",
        "property",
        "trace",
        "experienceCloud",
        "telemetry",
    ),
    *("notifications", "qaMode", "preview", "requestId", "environmentId", "impressionId"),
]


@pytest.fixture(scope="module")
def lasting() -> Iterator[TargetClient]:
    with TargetClient.create(options()) as client:
        yield client


def answer_or_fault(client: TargetClient, request: Any) -> TargetDeliveryResponse | OptionError:
    try:
        result: TargetDeliveryResponse = client.get_offers(request=request)
    except OptionError as error:
        return error
    return result


@given(data=st.data())
def test_any_call_returns_or_raises_option_error(lasting: TargetClient, data: st.DataObject) -> None:
    """The request of a good call, with anything in one of its places."""
    wire: Any = copy.deepcopy(WIRE)
    wire["context"] |= {"address": {"url": "http://a.b/"}, "geo": {"city": "Rome"}, "userAgent": "x"}
    wire["prefetch"] = {"views": [{"name": "home"}], "pageLoad": {"parameters": {"a": "b"}}}
    places = [
        wire,
        wire["context"],
        wire["id"],
        wire["execute"],
        wire["execute"]["mboxes"][0],
        wire["prefetch"],
    ]
    places += [
        wire["prefetch"]["views"][0],
        wire["execute"]["mboxes"][0]["parameters"],
        wire["context"]["geo"],
    ]
    place = data.draw(st.sampled_from(places))
    place[data.draw(st.sampled_from([*place, *FIELDS]))] = data.draw(anything)
    result = answer_or_fault(lasting, wire)
    if isinstance(result, OptionError):
        assert result.path.startswith("request")
    else:
        assert result["response"].status in (200, 206)


@pytest.mark.parametrize("depth", [100, 10_000])
def test_request_nested_too_deeply_is_an_option_error(client: TargetClient, depth: int) -> None:
    deep: Any = "x"
    for _ in range(depth):
        deep = {"a": deep}
    with pytest.raises(OptionError):
        client.get_offers(request={"execute": {"mboxes": [{"name": "hero", "parameters": deep}]}})


@pytest.mark.parametrize(
    "value", ["\ud800", "\U0001f600", "\0", "a\u2028b", "\udfff\ud800", "</script>"], ids=ascii
)
def test_parameter_can_contain_any_text(client: TargetClient, value: str) -> None:
    request = {"execute": {"mboxes": [{"name": "hero", "parameters": {"user": value}}]}}
    assert offers(client.get_offers(request=request)) == [f"hello {value}"]


# Callbacks


class Outcomes:
    def __init__(self) -> None:
        self.results: list[Any] = []
        self.errors: list[Any] = []
        self.threads: list[Any] = []

    def callback(self, result: Any) -> None:
        self.threads.append(threading.current_thread())
        self.results.append(result)

    def err_callback(self, error: BaseException) -> None:
        self.errors.append(error)


def test_callback_and_result_get_the_same_result_later(client: TargetClient) -> None:
    outcomes = Outcomes()
    pending = client.get_offers(request=WIRE, callback=outcomes.callback, err_callback=outcomes.err_callback)
    assert isinstance(pending, AsyncResult)
    result = pending.get(LONG_S)
    assert offers(result) == ["hello Ada"]
    assert outcomes.results == [result]
    assert outcomes.errors == []
    assert outcomes.threads[0] is not threading.current_thread()
    assert result.response is result["response"]


def test_failed_background_call_reaches_err_callback() -> None:
    given = options(
        artifact_payload=..., artifact_location="https://cdn.example/rules.json", maximum_wait_ready=1
    )
    outcomes = Outcomes()
    with TargetClient.create(given) as client:
        pending = client.get_offers(
            request=WIRE, callback=outcomes.callback, err_callback=outcomes.err_callback
        )
        with pytest.raises(NotReadyError):
            pending.get(LONG_S)
    assert [type(error) for error in outcomes.errors] == [NotReadyError]
    assert outcomes.results == []


def test_invalid_argument_raises_at_once_with_callbacks(client: TargetClient) -> None:
    outcomes = Outcomes()
    with pytest.raises(OptionError):
        client.get_offers(
            request={"execute": {}}, callback=outcomes.callback, err_callback=outcomes.err_callback
        )
    assert (outcomes.results, outcomes.errors) == ([], [])


def test_callback_that_raises_is_logged_and_changes_nothing() -> None:
    logger = Logger()

    def broken(_: Any) -> None:
        raise ValueError("mine")

    with TargetClient.create(options(logger=logger)) as client:
        pending = client.get_offers(request=request_for("flags"), callback=broken)
        assert offers(pending.get(LONG_S)) == [{"enabled": True, "plan": "gold"}]
    (line,) = logger.lines
    assert "broken" in line
    assert "mine" in line


def test_callback_can_call_the_client(client: TargetClient) -> None:
    done = threading.Event()
    seen: list[Any] = []

    def again(_: Any) -> None:
        seen.append(offers(client.get_offers(request=request_for("cart"))))
        done.set()

    client.get_offers(request=WIRE, callback=again)
    assert done.wait(LONG_S)
    assert seen == [[{"plan": "silver"}]]


# get_attributes


def test_attributes_of_mboxes_are_read_by_name(client: TargetClient) -> None:
    attributes = client.get_attributes(["flags", "cart", "nothing", "hero"])
    assert isinstance(attributes, AttributesProvider)
    assert attributes.get_value("flags", "enabled") is True
    assert attributes.as_object() == {"flags": {"enabled": True, "plan": "gold"}, "cart": {"plan": "silver"}}
    mboxes = attributes.get_response()["response"].execute.mboxes
    assert [mbox.name for mbox in mboxes] == ["flags", "cart", "nothing", "hero"]
    with pytest.raises(AttributeNotFoundError, match="Attribute 'x' does not exist for mbox 'nothing'"):
        attributes.get_value("nothing", "x")


def test_attributes_do_not_change_the_callers_request(client: TargetClient) -> None:
    request = request_for("hero", requestId="mine")
    before = copy.deepcopy(request)
    attributes = client.get_attributes(["flags"], {"request": request, "session_id": "s-9"})
    assert request == before
    response = attributes.get_response()
    assert response["response"].request_id == "mine"
    assert "s-9" in response["target_cookie"]["value"]
    assert [mbox.name for mbox in response["response"].execute.mboxes] == ["hero", "flags"]
    assert client.get_attributes(["cart"]).as_object() == {"cart": {"plan": "silver"}}


def test_attributes_can_be_set_later(client: TargetClient) -> None:
    outcomes = Outcomes()
    pending = client.get_attributes(["flags"], callback=outcomes.callback)
    attributes = pending.get(LONG_S)
    assert isinstance(attributes, AttributesProvider)
    assert outcomes.results == [attributes]
    assert attributes.get_value("flags", "plan") == "gold"


# Reports


def test_impressions_go_to_the_callers_function_with_request_and_visitor() -> None:
    given: list[dict[str, Any]] = []
    with TargetClient.create(options(send_notification_func=given.append)) as client:
        result = client.get_offers(request=WIRE)
        client.get_offers(request={"prefetch": {"views": [{}]}})
        client.get_offers(request=request_for("nothing"))
        visited = client.get_offers(request=WIRE, visitor_cookie="MCMID|1")
    assert [set(one) for one in given] == [{"request", "visitor"}] * 2
    first, second = given
    assert first["visitor"] is None
    assert second["visitor"].get_state() == visited["visitor_state"]
    report = json.loads(first["request"].to_json())
    (notification,) = report["notifications"]
    assert notification["tokens"] == ["token-1"]
    assert notification["mbox"] == {"name": "hero"}
    assert report["id"] == {"tntId": "t.28_0"}
    assert report["context"]["channel"] == "web"
    assert report["requestId"] != result["response"].request_id
    assert "execute" not in report


def test_function_that_raises_does_not_affect_decisions() -> None:
    logger = Logger()

    def broken(_: Any) -> None:
        raise ValueError("mine")

    with TargetClient.create(options(send_notification_func=broken, logger=logger)) as client:
        assert offers(client.get_offers(request=request_for("cart"))) == [{"plan": "silver"}]
    (line,) = logger.lines
    assert "mine" in line


def test_impressions_are_posted_for_the_same_visitor_and_session() -> None:
    transport = FakeTransport(by=lambda request: answer({"status": 200}))
    given = options(send_notification_func=..., transport=transport, environment_id=7, property_token="p")
    with TargetClient.create(given) as client:
        client.get_offers(request=WIRE, session_id="s-1", target_location_hint="35")
        assert client.flush(LONG_S)
        (request,) = transport.requests
        stats = client.stats().notifications
    assert (request.method, request.url.split("/rest/")[0]) == ("POST", "https://mboxedge35.tt.omtrdc.net")
    assert "sessionId=s-1" in request.url
    body = json.loads(request.body or b"")
    assert (body["environmentId"], body["property"]) == (7, {"token": "p"})
    assert [one["tokens"] for one in body["notifications"]] == [["token-1"]]
    assert (stats.accepted, stats.sent, stats.pending) == (1, 1, 0)


def test_rejected_impressions_fail_no_decision_and_are_reported() -> None:
    emitted = threading.Event()
    transport = FakeTransport(by=lambda request: answer(status=400))
    given = options(
        send_notification_func=..., transport=transport, events={"send_notification_error": emitted.set}
    )
    with TargetClient.create(given) as client:
        assert offers(client.get_offers(request=WIRE)) == ["hello Ada"]
        assert emitted.wait(LONG_S)


def test_dropped_impressions_fail_no_decision_and_are_counted() -> None:
    client = TargetClient.create(options(send_notification_func=...))
    assert offers(client.get_offers(request=WIRE)) == ["hello Ada"]
    client.close(0.1)
    stats = client.stats().notifications
    assert (stats.accepted, stats.sent, stats.pending) == (1, 0, 0)
    assert sum(stats.dropped.values()) == 1


def test_notifications_are_sent_by_the_client() -> None:
    transport = FakeTransport(by=lambda request: answer({"status": 200, "notifications": [{"id": "n"}]}))
    with TargetClient.create(options(transport=transport)) as client:
        notifications = [
            {"id": "n", "timestamp": 1, "type": "click", "mbox": {"name": "hero"}, "tokens": ["t"]}
        ]
        result = client.send_notifications(request={"notifications": notifications})
        with pytest.raises(OptionError, match=MESSAGES["NOTIFICATIONS_REQUIRED"]):
            client.send_notifications(request=WIRE)
    assert [one.id for one in result["response"].notifications] == ["n"]
    assert result["meta"]["decisioning_method"] == "server-side"
    assert json.loads(transport.requests[0].body or b"")["notifications"] == notifications


def test_notifications_can_be_sent_in_the_background() -> None:
    outcomes = Outcomes()
    transport = FakeTransport(by=lambda request: answer({"status": 200}))
    notifications = [{"id": "n", "timestamp": 1, "type": "click"}]
    with TargetClient.create(options(transport=transport)) as client:
        pending = client.send_notifications(
            request={"notifications": notifications}, callback=outcomes.callback
        )
        result = pending.get(LONG_S)
    assert outcomes.results == [result]
    assert isinstance(result, TargetDeliveryResponse)


def test_notification_that_cannot_be_sent_raises() -> None:
    with TargetClient.create(options()) as client, pytest.raises(ApiException, match="nothing is to ask"):
        client.send_notifications(request={"notifications": [{"id": "n", "timestamp": 1, "type": "click"}]})


def telemetry_of_two_calls(**more: Any) -> list[Any]:
    """Return the telemetry that the second call, at the server, sends of the first, on device."""
    transport = FakeTransport(by=lambda request: answer({"status": 200}))
    with TargetClient.create(options(transport=transport, **more)) as client:
        client.get_offers(request={"requestId": "first", "prefetch": {"views": [{}], "pageLoad": {}}})
        client.get_offers(request=WIRE, decisioning_method="server-side")
        client.get_offers(request=WIRE, decisioning_method="server-side")
    bodies = [json.loads(request.body or b"") for request in transport.requests]
    return [body.get("telemetry", {}).get("entries") for body in bodies]


def test_decision_is_measured_and_sent_with_the_next_request() -> None:
    (first,), (second,) = telemetry_of_two_calls(telemetry_enabled=True)
    assert first.pop("execution") >= 0
    assert first.pop("timestamp") > 1_700_000_000_000
    features = {"decisioningMethod": "on-device", "prefetchPageLoad": True, "prefetchViewCount": 1}
    assert first == {"requestId": "first", "mode": "local", "features": features}
    assert second["features"] == {"decisioningMethod": "server-side", "executeMboxCount": 1}


def test_disabled_telemetry_sends_nothing() -> None:
    assert telemetry_of_two_calls(telemetry_enabled=False) == [None, None]


# Places

IN_ROME = mboxes_of(
    rule(1, {"==": [{"var": "geo.city"}, "ROME"]}, content="ciao"),
    rule(2, content="hello"),
    geoTargetingEnabled=True,
    responseTokens=["geo.city"],
)


def geo_lookup(request: HttpRequest) -> HttpResponse:
    assert request.url.endswith("/v1/geo")
    return answer({"x-geo-city": "Rome", "x-geo-country-code": "IT"})


def at(**geo: Any) -> DeliveryRequest:
    return request_for("hero", context={"channel": "web", "geo": geo})


def test_location_of_an_address_is_looked_up_if_the_rules_use_it() -> None:
    transport = FakeTransport(by=geo_lookup)
    places: list[Any] = []
    given = options(
        artifact_payload=IN_ROME, transport=transport, events={"geo_location_updated": places.append}
    )
    with TargetClient.create(given) as client:
        result = client.get_offers(request=at(ipAddress="12.21.1.40"))
        again = client.get_offers(request=at(ipAddress="12.21.1.40"))
    assert offers(result) == offers(again) == ["ciao"]
    assert [request.headers["x-forwarded-for"] for request in transport.requests] == ["12.21.1.40"]
    assert result["response"].execute.mboxes[0].options[0].response_tokens["geo.city"] == "Rome"
    assert len(places) == 1


@each_case("geo", [{}, {"city": "Oslo", "ipAddress": "12.21.1.40"}, {"zip": "1"}, {"city": "rome"}])
def test_known_location_or_missing_address_causes_no_geo_lookup(geo: dict[str, str]) -> None:
    with TargetClient.create(options(artifact_payload=IN_ROME)) as client:
        expected = ["ciao"] if geo.get("city") == "rome" else ["hello"]
        assert offers(client.get_offers(request=at(**geo))) == expected
        assert client.config["transport"].requests == []


def test_rules_without_geo_conditions_cause_no_geo_lookup() -> None:
    with TargetClient.create(options(artifact_payload={**IN_ROME, "geoTargetingEnabled": False})) as client:
        assert offers(client.get_offers(request=at(ipAddress="12.21.1.40"))) == ["hello"]
        assert client.config["transport"].requests == []


def test_failed_lookup_decides_by_the_known_location() -> None:
    logger = Logger()
    with TargetClient.create(options(artifact_payload=IN_ROME, logger=logger)) as client:
        assert offers(client.get_offers(request=at(ipAddress="12.21.1.40"))) == ["hello"]
    assert "geo" in logger.lines[0]


# The end


def test_closed_client_raises_closed_error(client: TargetClient) -> None:
    client.close()
    client.close()
    calls: list[Callable[[], Any]] = [
        lambda: client.get_offers(request=WIRE),
        lambda: client.get_offers(request=WIRE, callback=print),
        lambda: client.get_attributes(["flags"]),
        lambda: client.send_notifications(request=WIRE),
        lambda: client.get_offers({}),
    ]
    for call in calls:
        with pytest.raises(ClosedError):
            call()


def test_with_block_closes_the_client_even_when_it_is_left_by_an_exception() -> None:
    with pytest.raises(ZeroDivisionError), TargetClient.create(options()) as client:
        raise ZeroDivisionError
    with pytest.raises(ClosedError):
        client.get_offers(request=WIRE)


def test_callers_transport_is_not_closed() -> None:
    transport = FakeTransport(by=offline)
    TargetClient.create(options(transport=transport)).close()
    assert not transport.closed


def test_no_thread_is_left_of_a_client(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(PLANS))
    ready = threading.Event()
    client = TargetClient.create(
        options(
            artifact_payload=...,
            artifact_location=file,
            polling_interval=60_000,
            transport=...,
            send_notification_func=...,
            events={"client_ready": ready.set},
            server_domain="127.0.0.1:9",
            timeout=200,
        )
    )
    assert ready.wait(LONG_S)
    assert offers(client.get_offers(request=WIRE, callback=lambda result: None).get(LONG_S)) == ["hello Ada"]
    client.close(0.5)
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(LONG_S)
    assert [thread.name for thread in left if thread.is_alive()] == []
    assert [thread.name for thread in left if not thread.daemon] == []


def test_two_clients_are_independent() -> None:
    other = mboxes_of(rule(1, content="other"))
    with (
        TargetClient.create(options()) as one,
        TargetClient.create(options(artifact_payload=other, client="b")) as two,
    ):
        assert offers(one.get_offers(request=WIRE)) == ["hello Ada"]
        assert offers(two.get_offers(request=WIRE)) == ["other"]
        one.close()
        assert offers(two.get_offers(request=WIRE)) == ["other"]


def test_many_threads_may_use_one_client(client: TargetClient) -> None:
    wrong: list[Any] = []

    def ask(name: str) -> None:
        for _ in range(50):
            request = request_for(execute={"mboxes": [{"name": "hero", "parameters": {"user": name}}]})
            result = offers(client.get_offers(request=request))
            if result != [f"hello {name}"]:
                wrong.append(result)

    threads = [threading.Thread(target=ask, args=(str(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
    assert wrong == []


def test_payload_in_the_options_is_not_printed() -> None:
    secret = base64.b64encode(b"secret").decode()
    with TargetClient.create(options(artifact_payload={**PLANS, "meta": {"a": secret}})) as client:
        assert secret not in repr(client._runtime.options)


WAITS = ("flush", "refresh_artifact", "close")


@pytest.mark.parametrize("name", WAITS)
def test_wait_that_is_no_number_of_seconds_raises_and_changes_nothing(
    client: TargetClient, name: str
) -> None:
    for keyword, value in (("timeout_s", "5"), ("timeout", float("nan")), ("timeout_s", True)):
        with pytest.raises(OptionError, match=f"^{keyword}: must be a number of seconds, not "):
            getattr(client, name)(**{keyword: value})
    assert not client.stats().notifications.dropped
    client.get_offers(request=request_for("plan"))


@pytest.mark.parametrize("name", WAITS)
def test_wait_can_be_without_end_and_negative_waits_are_none(client: TargetClient, name: str) -> None:
    for longest in (float("inf"), 1e300, -1):
        getattr(client, name)(timeout_s=longest)
        if name == "close":
            break
