import warnings
from collections.abc import Callable
from contextlib import nullcontext, suppress
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.cases import each_case
from targetry._client.call_options import attribute_settings, notification_settings, offer_settings
from targetry._client.decisions.call_settings import CallSettings
from targetry.errors import OptionError, TargetryWarning
from targetry.models import (
    Context,
    CustomerId,
    DecisioningMethod,
    DeliveryRequest,
    ExecuteRequest,
    MboxRequest,
    MetricType,
    Notification,
    PrefetchRequest,
    RequestDetails,
    Telemetry,
    ViewRequest,
)
from targetry.visitor import Visitor

SERVER_SIDE, ON_DEVICE = DecisioningMethod.SERVER_SIDE, DecisioningMethod.ON_DEVICE
ORGANIZATION = "0DD934B85278256B0A490D44@AdobeOrg"
VISITOR = Visitor(ORGANIZATION)


def on_answer(answer: object) -> None: ...


def request() -> DeliveryRequest:
    return DeliveryRequest(
        context=Context(channel="web"), execute=ExecuteRequest(mboxes=[MboxRequest(index=1, name="home")])
    )


def notifying() -> DeliveryRequest:
    notification = Notification(id="n1", type=MetricType.DISPLAY, timestamp=1)
    return DeliveryRequest(context=Context(channel="web"), notifications=[notification])


def offer(options: Any = None, **keywords: Any) -> CallSettings:
    return offer_settings(options, keywords, SERVER_SIDE)


def names(options: CallSettings) -> list[str | None]:
    assert options.request.execute is not None
    return [mbox.name for mbox in options.request.execute.mboxes or []]


# option → [(given, kept)]; the request is given, too
ACCEPTED: dict[str, list[tuple[Any, Any]]] = {
    "session_id": [("s1", "s1"), (UUID(int=1), str(UUID(int=1))), (17, "17"), ("", None), (None, None)],
    "target_cookie": [
        ("session#a#1|PC#b.35_0#2", "session#a#1|PC#b.35_0#2"),
        ("\ud800", "\ud800"),
        ("", None),
    ],
    "target_location_hint": [("35", "35"), (35, "35"), ("", None)],
    "consumer_id": [("first", "first"), (17, "17"), ("", None)],
    "customer_ids": [
        ([], []),
        (
            {"userid": {"id": "67", "authState": 1}},
            [CustomerId(id="67", integration_code="userid", authenticated_state="authenticated")],
        ),
        (
            [CustomerId(id="67", integration_code="userid", authenticated_state="unknown")],
            [CustomerId(id="67", integration_code="userid", authenticated_state="unknown")],
        ),
    ],
    "visitor": [(VISITOR, VISITOR), (None, None)],
    "visitor_cookie": [("MCMID|1234", "MCMID|1234"), (None, None), ("", None)],
    "callback": [(on_answer, on_answer), (0, None), (None, None)],
    "err_callback": [(on_answer, on_answer), (False, None)],
    "decisioning_method": [
        ("on-device", ON_DEVICE),
        (ON_DEVICE, ON_DEVICE),
        (None, SERVER_SIDE),
        ("", SERVER_SIDE),
    ],
}

# option → [(given, path, text or None for ours)]
METHODS_TEXT = "Invalid Decisioning Method.  Must be set to one of: hybrid,on-device,server-side"
CALLBACK_TEXT = "Callback must be a callable function"
REFUSED: dict[str, list[tuple[Any, str, str | None]]] = {
    "session_id": [(True, "session_id", None), (b"s1", "session_id", None), ([], "session_id", None)],
    "target_cookie": [(3, "target_cookie", None), ({"value": "x"}, "target_cookie", None)],
    "target_location_hint": [(3.5, "target_location_hint", None)],
    "consumer_id": [(b"3", "consumer_id", None)],
    "customer_ids": [
        ("67", "customer_ids", None),
        ({"userid": {"id": "67", "authState": 5}}, "customer_ids.userid.authState", None),
        ([{"id": "67"}], "customer_ids[0].integration_code", None),
    ],
    "visitor": [(object(), "visitor", "visitor: has no method get_visitor_values()")],
    "visitor_cookie": [(3, "visitor_cookie", None)],
    "callback": [
        ("print", "callback", CALLBACK_TEXT),
        (3, "callback", CALLBACK_TEXT),
        ([], "callback", CALLBACK_TEXT),
    ],
    "err_callback": [("print", "err_callback", None), ({}, "err_callback", None)],
    "decisioning_method": [
        ("remote", "decisioning_method", METHODS_TEXT),
        (["hybrid"], "decisioning_method", METHODS_TEXT),
        ([], "decisioning_method", METHODS_TEXT),
    ],
}


def rows(table: dict[str, list[Any]]) -> list[Any]:
    return [(name, case) for name, cases in table.items() for case in cases]


def id_of(row: tuple[str, Any]) -> str:
    name, case = row
    return f"{name}={case!r}"


def test_every_option_is_in_the_tables_of_these_tests() -> None:
    assert (
        set(ACCEPTED) == set(REFUSED) == set(CallSettings.__struct_fields__) - {"request", "kind", "observed"}
    )


@each_case("name, case", rows(ACCEPTED), ids=id_of)
def test_option_is_converted_for_the_call(name: str, case: tuple[Any, Any]) -> None:
    value, kept = case
    assert getattr(offer({"request": request(), name: value}), name) == kept
    assert getattr(offer(request=request(), **{name: value}), name) == kept


@each_case("name, case", rows(REFUSED), ids=id_of)
def test_invalid_option_raises_with_its_name(name: str, case: tuple[Any, str, str | None]) -> None:
    value, path, text = case
    with pytest.raises(OptionError) as caught:
        offer({"request": request(), name: value})
    assert caught.value.path == path
    assert str(caught.value) == (text or f"{path}: {caught.value.reason}")


def test_common_call_has_the_defaults_for_everything_else() -> None:
    options = offer({"request": request(), "session_id": "s1"})
    assert (options.request, options.session_id) == (request(), "s1")
    assert options.decisioning_method is SERVER_SIDE
    others = set(CallSettings.__struct_fields__) - {"request", "session_id", "decisioning_method", "kind"}
    assert {getattr(options, name) for name in others} == {None}


def test_method_of_the_client_is_the_default() -> None:
    assert offer_settings({"request": request()}, {}, ON_DEVICE).decisioning_method is ON_DEVICE


EXECUTE_TEXT = "Either pageLoad or mboxes is required in execute"
PREFETCH_TEXT = "Either views, pageLoad or mboxes is required in prefetch"
REQUEST_TEXT = "Request object of type DeliveryRequest is required"
OFFICIAL: dict[str, tuple[Any, str, str]] = {
    "None": (None, "options", "Options are required"),
    "empty": ({}, "options", "Options are required"),
    "no request": ({"session_id": "s1"}, "request", REQUEST_TEXT),
    "request None": ({"request": None}, "request", REQUEST_TEXT),
    "request empty": ({"request": {}}, "request", REQUEST_TEXT),
    "request text": ({"request": "{}"}, "request", REQUEST_TEXT),
    "request of another class": ({"request": ExecuteRequest()}, "request", REQUEST_TEXT),
    "request before callback": ({"callback": 3}, "request", REQUEST_TEXT),
    "empty execute": (
        {"request": DeliveryRequest(execute=ExecuteRequest())},
        "request.execute",
        EXECUTE_TEXT,
    ),
    "execute without mboxes": (
        {"request": DeliveryRequest(execute=ExecuteRequest(mboxes=[]))},
        "request.execute",
        EXECUTE_TEXT,
    ),
    "empty prefetch": (
        {"request": DeliveryRequest(prefetch=PrefetchRequest())},
        "request.prefetch",
        PREFETCH_TEXT,
    ),
    "empty execute as dict": ({"request": {"execute": {}}}, "request.execute", EXECUTE_TEXT),
    "execute before callback": (
        {"request": DeliveryRequest(execute=ExecuteRequest()), "callback": 3},
        "request.execute",
        EXECUTE_TEXT,
    ),
    "callback before ours": (
        {"request": DeliveryRequest(), "session_id": 3.5, "callback": 3},
        "callback",
        CALLBACK_TEXT,
    ),
}


@each_case("options, path, text", OFFICIAL.values(), ids=OFFICIAL)
def test_official_checks_run_in_order_with_their_texts(options: Any, path: str, text: str) -> None:
    with pytest.raises(OptionError) as caught:
        offer(options)
    assert (caught.value.path, str(caught.value)) == (path, text)


ENOUGH = {
    "neither": DeliveryRequest(),
    "page load": DeliveryRequest(execute=ExecuteRequest(page_load=RequestDetails())),
    "prefetched page load": DeliveryRequest(prefetch=PrefetchRequest(page_load=RequestDetails())),
    "prefetched mbox": DeliveryRequest(prefetch=PrefetchRequest(mboxes=[MboxRequest(name="a")])),
    "prefetched views": DeliveryRequest(prefetch=PrefetchRequest(views=[ViewRequest()])),
}


@each_case("asked", ENOUGH.values(), ids=ENOUGH)
def test_request_with_locations_or_without_any_part_is_valid(asked: DeliveryRequest) -> None:
    assert offer({"request": asked}).request == asked


def test_wrong_field_of_the_request_is_named_by_its_path() -> None:
    wrong = request()
    assert wrong.execute is not None
    assert wrong.execute.mboxes is not None
    wrong.execute.mboxes.append(MboxRequest(name=7))  # type: ignore[arg-type]
    with pytest.raises(OptionError) as caught:
        offer({"request": wrong, "session_id": "s1"})
    assert caught.value.path == "request.execute.mboxes[1].name"
    assert str(caught.value).startswith("request.execute.mboxes[1].name: ")


@pytest.mark.parametrize(
    ("method", "refused"), [("server-side", True), ("hybrid", False), ("on-device", False)], ids=str
)
def test_limits_of_the_api_are_checked_only_for_calls_to_it(method: str, refused: bool) -> None:
    long_names = {"context": {"channel": "web", "geo": {"countryCode": "Switzerland"}}}
    refusal = pytest.raises(OptionError, match=r"^request\.context\.geo\.country_code: ")
    with refusal if refused else nullcontext():
        offer({"request": long_names, "decisioning_method": method})


def test_request_can_be_the_json_of_the_api() -> None:
    wire = {"context": {"channel": "web"}, "execute": {"mboxes": [{"index": 1, "name": "home"}]}}
    assert offer({"request": wire, "session_id": "s1"}).request == request()


@pytest.mark.parametrize("call", ["get_offers", "get_attributes", "send_notifications"])
def test_misspelt_name_in_a_request_is_an_option_error(call: str) -> None:
    wrong = {"id": {"tntID": "t1"}, "notifications": [{"id": "n"}], "execute": {"mboxes": [{"name": "home"}]}}
    checks: dict[str, Callable[[], CallSettings]] = {
        "get_offers": lambda: offer({"request": wrong}),
        "get_attributes": lambda: attribute_settings(["flags"], {"request": wrong}, {}, SERVER_SIDE),
        "send_notifications": lambda: notification_settings({"request": wrong}, {}),
    }
    with pytest.raises(OptionError, match=r"^request\.id\.tntID: .*; did you mean 'tntId'\?$"):
        checks[call]()


def test_nothing_of_the_request_is_shared_with_the_caller() -> None:
    own = request()
    options = offer({"request": own, "session_id": "s1"})
    assert options.request.execute is not None
    assert options.request.execute.mboxes is not None
    options.request.execute.mboxes[0].name = "changed"
    assert own == request()


def test_events_is_another_name_of_request() -> None:
    assert offer({"events": request()}).request == request()
    assert offer({"events": request(), "session_id": "s1"}).session_id == "s1"


def test_request_and_events_together_are_an_error() -> None:
    with pytest.raises(OptionError, match=r"^events: means the same as request; pass"):
        offer({"request": request(), "events": request()})


def test_options_that_are_no_mapping_raise() -> None:
    with pytest.raises(OptionError, match=r"^options: must be a mapping, not DeliveryRequest$"):
        offer(request())


def test_any_mapping_will_do_and_is_not_changed() -> None:
    given_options = {"request": request(), "session_id": "s1", "callback": on_answer}
    before = {**given_options}
    assert offer(MappingProxyType(given_options)).session_id == "s1"
    assert given_options == before


def test_option_given_twice_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="'session_id' twice"):
        offer({"request": request(), "session_id": "s1"}, session_id="s2")


@pytest.mark.parametrize(
    ("check", "call"),
    [
        (lambda **k: offer_settings(None, k, SERVER_SIDE), "get_offers"),
        (lambda **k: attribute_settings(["a"], None, k, SERVER_SIDE), "get_attributes"),
        (lambda **k: notification_settings(None, k), "send_notifications"),
    ],
    ids=["offers", "attributes", "notifications"],
)
def test_unknown_keyword_is_a_type_error_that_names_the_call(check: Any, call: str) -> None:
    with pytest.raises(TypeError, match=rf"^{call}\(\) got .* 'session'; did you mean 'session_id'\?$"):
        check(request=request(), session="s1")


WARNED = {
    "misspelt": ({"sessionId": "s1"}, "unknown option 'sessionId'; did you mean 'session_id'?"),
    "beside the session": ({"session_id": "s1", "hint": "35"}, "unknown option 'hint'"),
    "events that are no request": ({"events": {"client_ready": on_answer}}, "unknown option 'events'"),
    "internal": ({"config": {"client": "other"}}, "ignores the option 'config'"),
}


@each_case("odd, text", WARNED.values(), ids=WARNED)
def test_option_that_has_no_effect_is_a_warning(odd: dict[str, Any], text: str) -> None:
    with pytest.warns(TargetryWarning) as caught:
        offer({"request": request(), **odd})
    assert [str(warning.message) for warning in caught if text in str(warning.message)]
    assert len(caught) == 1


@pytest.mark.parametrize("name", ["config", "events"])
def test_option_without_effect_that_is_none_is_silent(name: str) -> None:
    assert offer({"request": request(), name: None}).request == request()


def test_repr_shows_nothing_about_the_visitor() -> None:
    text = repr(offer({"request": request(), "session_id": "s1", "visitor_cookie": "MCMID|1234"}))
    assert text == "CallSettings(request, decisioning_method, session_id, visitor_cookie)"


@each_case("options", [None, {}, {"session_id": "s1"}, {"request": None}], ids=str)
def test_attributes_need_no_request(options: dict[str, Any] | None) -> None:
    checked = attribute_settings(["a", "b"], options, {}, SERVER_SIDE)
    assert names(checked) == ["a", "b"]
    assert checked.session_id == (options or {}).get("session_id")


def test_attributes_are_added_to_the_locations_of_the_request() -> None:
    own = request()
    assert names(attribute_settings(["a", "home"], {"request": own}, {}, SERVER_SIDE)) == ["home", "a"]
    assert own == request()


def test_attributes_fill_an_empty_execute() -> None:
    empty = DeliveryRequest(execute=ExecuteRequest())
    assert names(attribute_settings(["a"], {"request": empty}, {}, SERVER_SIDE)) == ["a"]


def test_two_calls_for_attributes_share_nothing() -> None:
    attribute_settings(["a"], None, {}, SERVER_SIDE)
    assert names(attribute_settings(["b"], None, {}, SERVER_SIDE)) == ["b"]


@pytest.mark.parametrize(
    ("mbox_names", "path"),
    [("home", "mbox_names"), ([3], "mbox_names[0]"), (["home", ""], "mbox_names[1]")],
    ids=["text", "number", "empty"],
)
def test_names_that_cannot_be_mboxes_are_refused(mbox_names: Any, path: str) -> None:
    with pytest.raises(OptionError) as caught:
        attribute_settings(mbox_names, None, {}, SERVER_SIDE)
    assert caught.value.path == path


NOTIFICATIONS_TEXT = "Notifications list is required in request"
NOT_NOTIFYING: dict[str, tuple[Any, str]] = {
    "None": (None, "Options are required"),
    "empty": ({}, "Options are required"),
    "no request": ({"session_id": "s1"}, REQUEST_TEXT),
    "empty dict": ({"request": {}}, REQUEST_TEXT),
    "text": ({"request": "x"}, REQUEST_TEXT),
    "no notifications": ({"request": request()}, NOTIFICATIONS_TEXT),
    "empty notifications": ({"request": DeliveryRequest(notifications=[])}, NOTIFICATIONS_TEXT),
    "notifications before callback": ({"request": request(), "callback": 3}, NOTIFICATIONS_TEXT),
    "callback": ({"request": notifying(), "callback": 3}, CALLBACK_TEXT),
    "method": ({"request": notifying(), "decisioning_method": "remote"}, METHODS_TEXT),
}


@each_case("options, text", NOT_NOTIFYING.values(), ids=NOT_NOTIFYING)
def test_official_checks_of_notifications(options: Any, text: str) -> None:
    with pytest.raises(OptionError) as caught:
        notification_settings(options, {})
    assert str(caught.value) == text


def test_notifications_or_telemetry_are_enough() -> None:
    assert notification_settings({"request": notifying()}, {}).request == notifying()
    telemetry = DeliveryRequest(telemetry=Telemetry())
    assert notification_settings({"request": telemetry}, {}).request == telemetry


def test_notifications_can_be_the_json_of_the_api() -> None:
    wire = {"context": {"channel": "web"}, "notifications": [{"id": "n1", "type": "display", "timestamp": 1}]}
    assert notification_settings({"request": wire}, {}).request == notifying()


def test_notifications_always_go_to_the_server() -> None:
    options = notification_settings(
        None, {"request": notifying(), "session_id": "s1", "decisioning_method": "on-device"}
    )
    assert (options.decisioning_method, options.session_id) == (SERVER_SIDE, "s1")


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=5,
)
option_names = st.sampled_from([*CallSettings.__struct_fields__, "events", "config"]) | st.text()
some_requests = st.sampled_from([request(), notifying()])


@given(st.dictionaries(option_names, json_like, max_size=4), st.none() | some_requests)
def test_any_value_returns_options_or_raises_option_error(
    options: dict[str, Any], own: DeliveryRequest | None
) -> None:
    given_options = options if own is None else {**options, "request": own}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TargetryWarning)
        checks: list[Callable[[], CallSettings]] = [
            lambda: offer_settings(given_options, {}, ON_DEVICE),
            lambda: attribute_settings(["a"], given_options, {}, SERVER_SIDE),
            lambda: notification_settings(given_options, {}),
        ]
        for check in checks:
            with suppress(OptionError):
                assert repr(check())
