"""Differences from `target-python-sdk` 1.1.0: rows of docs/migrating.md without another test."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from delivery_api_client import (
    Address,
    ApiException,
    ApiTypeError,
    ChannelType,
    Context,
    CustomerId,
    DeliveryRequest,
    ExecuteRequest,
    Geo,
    MboxRequest,
    MboxResponse,
    Metric,
    MetricType,
    Notification,
    Option,
    OptionType,
    Order,
    PageLoadResponse,
    PrefetchRequest,
    RequestDetails,
    Trace,
    View,
    ViewRequest,
    VisitorId,
)
from dropin.shop import CLIENT, ORGANIZATION, Shop
from servers.faulty import answer
from support.device import NEVER, artifact, mboxes_of, rule, window
from target_python_sdk import TargetClient
from target_tools.enums import DecisioningMethod
from targetry import ClosedError, OptionError, TargetDeliveryResponse, TargetError, TransportError, samples

Closing = Callable[[Any], Any]
HERO = [MboxRequest(name="hero", index=1)]
COOKIE = "PC#visitor-1#4102444800"  # until the year 2100


class Device:
    """A client that decides on device by one artifact, and the impressions that it reports."""

    def __init__(self, payload: dict[str, Any], method: str = "on-device", **options: Any) -> None:
        self.impressions: list[DeliveryRequest] = []
        self.client = TargetClient.create(
            {
                "client": CLIENT,
                "organization_id": ORGANIZATION,
                "decisioning_method": method,
                "artifact_payload": payload,
                "polling_interval": 0,
                "telemetry_enabled": False,
                "send_notification_func": lambda report: self.impressions.append(report["request"]),
                **options,
            }
        )

    def ask(self, **parts: Any) -> Any:
        context = parts.pop("context", None) or Context(channel="web")
        return self.client.get_offers({"request": DeliveryRequest(context=context, **parts)})

    def hero(self, visitor: str | None = None, context: Context | None = None, **details: Any) -> Any:
        """Return the content of the mbox `hero`."""
        mbox = MboxRequest(name="hero", index=1, **details)
        who = {} if visitor is None else {"id": VisitorId(tnt_id=visitor)}
        result = self.ask(context=context, execute=ExecuteRequest(mboxes=[mbox]), **who)
        return result["response"].execute.mboxes[0]

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *error: object) -> None:
        self.client.close()


@pytest.fixture
def device(closing: Closing) -> Callable[..., Device]:
    return lambda *args, **options: closing(Device(*args, **options))


def contents(mbox: Any) -> list[Any]:
    return [option.content for option in mbox.options or ()]


# options


def test_member_of_the_enum_is_a_method_for_the_client_too() -> None:
    with Device(samples.shop(), method=DecisioningMethod.ON_DEVICE) as device:
        assert device.client.decisioning_engine is not None


def test_client_can_be_closed_and_is_a_context_manager(shop: Shop) -> None:
    with TargetClient.create(shop.options) as client:
        assert client.get_offers({"request": DeliveryRequest(execute=ExecuteRequest(mboxes=HERO))})
    client.close()
    with pytest.raises(ClosedError):
        client.get_offers({"request": DeliveryRequest(execute=ExecuteRequest(mboxes=HERO))})


def test_config_of_a_client_is_a_copy(shop: Shop, closing: Closing) -> None:
    client = closing(TargetClient.create(shop.options))
    client.config["target_location_hint"] = "35"
    assert client.config["target_location_hint"] is None
    assert client.config["client"] == CLIENT


# requests


def test_request_is_unchanged_and_reusable_for_other_visitors(shop: Shop, closing: Closing) -> None:
    client = closing(TargetClient.create({**shop.options, "property_token": "p", "environment_id": 5}))
    request = DeliveryRequest(context=Context(channel="web"), execute=ExecuteRequest(mboxes=list(HERO)))
    before = copy.deepcopy(request)
    client.get_offers({"request": request, "target_cookie": f"PC#first#{2**32}"})
    client.get_attributes(["flags"], {"request": request, "target_cookie": f"PC#second#{2**32}"})
    assert request == before
    assert [each.json()["id"] for each in shop.deliveries] == [{"tntId": "first"}, {"tntId": "second"}]


def test_ids_environment_and_time_offset_of_the_caller_are_sent(shop: Shop, closing: Closing) -> None:
    client = closing(TargetClient.create({**shop.options, "environment_id": 5}))
    request = DeliveryRequest(
        request_id="r1",
        environment_id=7,
        context=Context(channel="web", time_offset_in_minutes=120),
        execute=ExecuteRequest(mboxes=HERO),
    )
    client.get_offers({"request": request})
    sent = shop.deliveries[0].json()
    assert (sent["requestId"], sent["environmentId"]) == ("r1", 7)
    assert sent["context"]["timeOffsetInMinutes"] == 120


def test_datetime_in_a_request_is_accepted(shop: Shop, closing: Closing) -> None:
    client = closing(TargetClient.create(shop.options))
    order = Order(id="o1", time=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    client.get_offers(
        {"request": DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="cart", order=order)]))}
    )
    assert shop.deliveries[0].json()["execute"]["mboxes"][0]["order"]["time"] == "2026-01-02T03:04:05Z"


NOTHING: list[Any] = [None]
NONE_IN_A_LIST = {
    "request.execute.mboxes[1]": {"execute": ExecuteRequest(mboxes=[*HERO, *NOTHING])},
    "request.prefetch.mboxes[0]": {"prefetch": PrefetchRequest(mboxes=NOTHING)},
    "request.prefetch.views[0]": {"prefetch": PrefetchRequest(views=NOTHING)},
    "request.notifications[0]": {"notifications": NOTHING},
    "request.id.customer_ids[0]": {"id": VisitorId(customer_ids=NOTHING)},
}


@pytest.mark.parametrize("path", NONE_IN_A_LIST)
def test_none_in_a_list_is_an_error_with_its_path(shop: Shop, closing: Closing, path: str) -> None:
    client = closing(TargetClient.create(shop.options))
    with pytest.raises(OptionError) as caught:
        client.get_offers({"request": DeliveryRequest(**NONE_IN_A_LIST[path])})
    assert caught.value.path == path
    assert shop.requests == []


def test_limits_are_checked_when_a_request_is_used_and_not_when_it_is_built(
    shop: Shop, closing: Closing
) -> None:
    client = closing(TargetClient.create(shop.options))
    request = DeliveryRequest(id=VisitorId(tnt_id="x" * 129), execute=ExecuteRequest(mboxes=HERO))
    with pytest.raises(ValueError, match=r"^request\.id\.tnt_id: must have at most 128 characters, has 129$"):
        client.get_offers({"request": request})
    assert shop.requests == []


def test_wrong_type_is_an_error_with_its_path(shop: Shop, closing: Closing) -> None:
    client = closing(TargetClient.create(shop.options))
    context = Context(channel="tv")  # type: ignore[arg-type]
    with pytest.raises(OptionError) as caught:
        client.get_offers({"request": DeliveryRequest(context=context)})
    assert caught.value.path == "request.context.channel"


def test_vars_of_a_model_has_the_official_names_and_is_a_copy() -> None:
    mbox = MboxRequest(name="hero", index=1)
    assert vars(mbox) == mbox.__dict__
    assert vars(mbox) == {
        "_address": None,
        "_parameters": None,
        "_profile_parameters": None,
        "_order": None,
        "_product": None,
        "_index": 1,
        "_name": "hero",
        "discriminator": None,
    }
    vars(mbox)["_name"] = "other"
    assert mbox.name == "hero"
    assert vars(DeliveryRequest())["_DeliveryRequest__property"] is None
    request = DeliveryRequest(execute=ExecuteRequest(mboxes=[mbox]))
    written = json.dumps(request, default=lambda model: model.__dict__)
    assert json.loads(written)["_execute"]["_mboxes"][0]["_name"] == "hero"


def test_subclass_of_a_model_cannot_have_an_init() -> None:
    with pytest.raises(TypeError, match="cannot define __init__"):

        class Hero(MboxRequest):
            def __init__(self) -> None: ...


def test_subclass_of_a_model_is_sent_without_its_own_fields(shop: Shop, closing: Closing) -> None:
    class Tagged(MboxRequest):
        tag: str = ""

    client = closing(TargetClient.create(shop.options))
    mbox = Tagged(name="hero", index=1, tag="mine")
    client.get_offers({"request": DeliveryRequest(execute=ExecuteRequest(mboxes=[mbox]))})
    assert shop.deliveries[0].json()["execute"] == {"mboxes": [{"name": "hero", "index": 1}]}


def test_member_of_an_enum_is_a_str_but_not_of_the_exact_type() -> None:
    member = MetricType.DISPLAY
    assert (str(member), f"{member}", json.dumps(member), member.value) == (
        "display",
        "display",
        '"display"',
        "display",
    )
    assert member == "display"
    assert type(member) is not str
    assert type(member.value) is str
    assert type(Notification(type=member).to_dict()["type"]) is str


def test_attribute_that_a_model_does_not_have_cannot_be_set() -> None:
    context = Context(channel="web")
    with pytest.raises(AttributeError):
        context.chanel = "mobile"  # type: ignore[attr-defined]


# results


def test_result_accepts_any_key(shop: Shop, closing: Closing) -> None:
    client = closing(TargetClient.create(shop.options))
    result = client.get_offers({"request": DeliveryRequest(execute=ExecuteRequest(mboxes=HERO))})
    result["mine"] = 1
    assert result.pop("mine") == 1
    assert TargetDeliveryResponse(meta={}, mine=1) == {"meta": {}}


@pytest.mark.parametrize("method", ["server-side", "on-device", "hybrid"])
def test_request_of_a_result_has_an_id_of_which_only_ids_are_sent(
    shop: Shop, closing: Closing, method: str
) -> None:
    payload = (
        {"artifact_payload": mboxes_of(rule()), "polling_interval": 0} if method != "server-side" else {}
    )
    client = closing(TargetClient.create({**shop.options, "decisioning_method": method, **payload}))
    for given in (None, VisitorId()):
        request = DeliveryRequest(id=given, execute=ExecuteRequest(mboxes=HERO))
        result = client.get_offers({"request": request})
        assert type(result["request"].id) is VisitorId
        assert bool(result["request"].id.tnt_id) is (method != "server-side")
        known = client.get_offers({"request": request, "target_cookie": COOKIE})
        assert known["request"].id.tnt_id == "visitor-1"
    if method == "server-side":
        sent = [received.json().get("id") for received in shop.deliveries]
        assert sent == [None, {"tntId": "visitor-1"}] * 2


def test_request_of_a_notifications_result_has_an_id(shop: Shop, closing: Closing) -> None:
    client = closing(TargetClient.create(shop.options))
    notification = Notification(id="n1", type=MetricType.DISPLAY, timestamp=1)
    result = client.send_notifications({"request": DeliveryRequest(notifications=[notification])})
    assert result["request"].id == VisitorId()
    assert "id" not in shop.deliveries[0].json()


def test_numbers_and_booleans_are_content_too(shop: Shop, closing: Closing) -> None:
    values = [42, True, [1], "text", {"a": None}]
    options = [{"type": "json", "content": value} for value in values]
    body = {"status": 200, "execute": {"mboxes": [{"name": "hero", "options": options, "new": 1}]}}
    shop.script(answer(200, json.dumps(body).encode()))
    client = closing(TargetClient.create(shop.options))
    result = client.get_offers({"request": DeliveryRequest(execute=ExecuteRequest(mboxes=HERO))})
    assert [each.content for each in result["response"].execute.mboxes[0].options] == values


def test_name_listed_twice_is_requested_once(shop: Shop, closing: Closing) -> None:
    client = closing(TargetClient.create(shop.options))
    client.get_attributes(["flags", "flags"])
    assert [mbox["name"] for mbox in shop.deliveries[0].json()["execute"]["mboxes"]] == ["flags"]


def test_mbox_without_offers_has_no_attributes(device: Callable[..., Device]) -> None:
    client = device(mboxes_of(rule(condition=NEVER))).client
    assert client.get_attributes(["hero"]).as_object() == {}


# errors


def test_every_error_has_a_type_and_is_still_an_exception() -> None:
    with pytest.raises(TargetError) as caught:
        TargetClient.create({"client": CLIENT})
    assert isinstance(caught.value, ValueError)
    assert caught.value.path == "organization_id"  # type: ignore[attr-defined]
    assert str(pickle.loads(pickle.dumps(caught.value))) == "Organization Id is required"


class Answered:
    """A response of urllib3, as tests of 1.1.0 make one for an exception."""

    status, reason, data = 503, "Unavailable", "busy"

    def getheaders(self) -> dict[str, str]:
        return {"retry-after": "1"}


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_api_exception_is_made_of_a_response_and_copied(copied: Callable[[Any], Any]) -> None:
    error = copied(ApiException(http_resp=Answered()))
    assert vars(error) == {
        "status": 503,
        "reason": "Unavailable",
        "body": "busy",
        "headers": {"retry-after": "1"},
    }
    assert str(error).startswith("(503)\nReason: Unavailable\n")
    assert ApiException(status=404, reason="Not Found").status == 404
    assert ApiException().status == 0


def test_headers_of_an_exception_are_found_in_any_case(shop: Shop, closing: Closing) -> None:
    shop.script(answer(429, b"busy", {"Retry-After": "7"}))
    client = closing(TargetClient.create(shop.options))
    with pytest.raises(ApiException) as caught:
        client.get_offers({"request": DeliveryRequest(execute=ExecuteRequest(mboxes=HERO))})
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value)), copy.deepcopy(caught.value)):
        headers: Any = error.headers
        assert headers["Retry-After"] == headers.get("RETRY-AFTER") == headers.get("retry-after") == "7"
        assert "Retry-After" in headers
        assert headers.get("X-Absent") is None
        assert 7 not in headers


def test_errors_of_input_show_the_path_and_keep_their_arguments() -> None:
    error = pickle.loads(pickle.dumps(ApiTypeError("wrong", ["mboxes", 0], (str,), True)))
    assert str(error) == "wrong at ['mboxes'][0]"
    assert vars(error) == {"path_to_item": ["mboxes", 0], "valid_classes": (str,), "key_type": True}


def test_server_that_cannot_be_reached_is_an_api_exception(shop: Shop, closing: Closing) -> None:
    options = shop.options
    shop.stop()
    client = closing(TargetClient.create({**options, "timeout": 500}))
    with pytest.raises(ApiException) as caught:
        client.get_offers({"request": DeliveryRequest(execute=ExecuteRequest(mboxes=HERO))})
    assert isinstance(caught.value, TransportError)
    assert caught.value.status == 0
    assert caught.value.__cause__ is not None


# decisions on device


def test_page_load_that_was_not_requested_is_neither_decided_nor_reported(
    device: Callable[..., Device],
) -> None:
    rules = {"hero": [rule()], "target-global-mbox": [rule(2, name="target-global-mbox")]}
    made = device(artifact(rules))
    result = made.ask(execute=ExecuteRequest(mboxes=HERO), prefetch=PrefetchRequest(mboxes=HERO))
    assert result["response"].execute.page_load is None
    assert result["response"].prefetch.page_load is None
    names = [
        each.mbox.name for report in made.impressions for each in report.notifications or () if each.mbox
    ]
    assert names == ["hero"]


def test_hybrid_calls_the_server_for_a_remote_page_load(shop: Shop, closing: Closing) -> None:
    payload = artifact({"hero": [rule()]}, remoteMboxes=["target-global-mbox"])
    options = {**shop.options, "decisioning_method": "hybrid", "artifact_payload": payload}
    client = closing(TargetClient.create({**options, "polling_interval": 0}))
    result = client.get_offers(
        {"request": DeliveryRequest(execute=ExecuteRequest(page_load=RequestDetails()))}
    )
    assert result["meta"]["decisioning_method"] == "server-side"
    assert result["meta"]["remote_mboxes"] == ["target-global-mbox"]


def test_view_without_a_name_counts_as_all_remote_views(device: Callable[..., Device]) -> None:
    made = device(artifact(views={"home": [rule(name="home")]}, remoteViews=["map"]))
    views = [ViewRequest(name="home"), ViewRequest()]
    assert made.ask(prefetch=PrefetchRequest(views=views))["meta"]["remote_views"] == ["map"]
    assert made.ask(prefetch=PrefetchRequest(views=views[:1]))["meta"]["remote_views"] == []


def test_remote_locations_are_in_the_order_of_the_request(device: Callable[..., Device]) -> None:
    names = ["b", "a", "d", "c"]
    mboxes = [MboxRequest(name=name, index=n) for n, name in enumerate(names)]
    result = device(artifact(remoteMboxes=names)).ask(execute=ExecuteRequest(mboxes=mboxes))
    assert result["meta"]["remote_mboxes"] == names


def test_rule_that_cannot_be_evaluated_does_not_affect_others(device: Callable[..., Device]) -> None:
    broken = rule(1, {"no-such-operator": [1]}, content="broken")
    made = device(artifact({"hero": [broken, rule(2, content="good")], "other": [rule(3, name="other")]}))
    other = made.ask(execute=ExecuteRequest(mboxes=[MboxRequest(name="other", index=1)]))
    assert contents(made.hero()) == ["good"]
    assert contents(other["response"].execute.mboxes[0]) == ["hello"]


def test_rule_can_omit_its_audience_ids(device: Callable[..., Device]) -> None:
    made = device(mboxes_of(rule(meta={"activity.id": 1})))
    assert contents(made.hero()) == ["hello"]


def test_rule_reaches_no_methods_of_objects(device: Callable[..., Device]) -> None:
    called = rule(condition={"method": [{"var": "user"}, "clear"]}, content="called")
    assert contents(device(mboxes_of(called)).hero()) == []


def test_offer_with_empty_content_is_an_offer(device: Callable[..., Device]) -> None:
    made = device(mboxes_of(rule(kind="json", content={}), rule(2)))
    options = made.hero().options
    assert [(option.type, option.content) for option in options] == [("json", {})]


def test_of_metrics_only_clicks_are_for_execute(device: Callable[..., Device]) -> None:
    def metrics(*types: str) -> list[Metric] | None:
        one = rule()
        one["consequence"]["metrics"] = [{"type": each, "eventToken": f"t-{each}"} for each in types]
        found: list[Metric] | None = device(mboxes_of(one)).hero().metrics
        return found

    assert metrics("display") is None
    assert metrics("click", "display") == [Metric(type="click", event_token="t-click")]


def test_responses_are_of_the_declared_classes_and_complete(device: Callable[..., Device]) -> None:
    action = {"type": "setHtml", "selector": "#a", "content": "x", "custom": [1]}
    rules = {"target-global-mbox": [rule(kind="actions", content=[action], name="target-global-mbox")]}
    made = device(artifact(rules, {"home": [rule(2, name="home")]}))
    answered = made.ask(
        execute=ExecuteRequest(page_load=RequestDetails(), mboxes=HERO),
        prefetch=PrefetchRequest(views=[ViewRequest(name="home")]),
    )["response"]
    assert type(answered.execute.page_load) is PageLoadResponse
    assert type(answered.execute.mboxes[0]) is MboxResponse
    assert type(answered.prefetch.views[0]) is View
    assert answered.execute.page_load.options == [
        Option(
            type=OptionType.ACTIONS,
            content=[action],
            response_tokens={"activity.decisioningMethod": "on-device"},
        )
    ]


def test_macros_are_filled_in_whatever_their_case_and_never_with_pythons_own(
    device: Callable[..., Device],
) -> None:
    content = "${Campaign.name}, ${activity.id}, ${user.__class__}, ${parameters}, ${mbox.name}"
    (filled,) = contents(device(mboxes_of(rule(7, content=content))).hero(parameters={"a": "b"}))
    assert filled == "Activity 7, 7, ${user.__class__}, ${parameters}, hero"


def test_parameters_can_share_a_name_up_to_a_dot(device: Callable[..., Device]) -> None:
    condition = {"==": [{"var": "mbox.a.b"}, "nested"]}
    made = device(mboxes_of(rule(condition=condition)))
    for parameters in ({"a": "plain", "a.b": "nested"}, {"a.b": "nested", "a": "plain"}):
        assert contents(made.hero(parameters=parameters)) == ["hello"]


def test_visitor_known_only_by_customer_ids_gets_one_experience(device: Callable[..., Device]) -> None:
    halves = [rule(1, window(0, 50), content="a"), rule(1, window(50, 100), content="b", experience=1)]
    made = device(mboxes_of(*halves))
    customer = CustomerId(id="c", integration_code="crm", authenticated_state="authenticated")
    for _ in range(50):
        execute = ExecuteRequest(mboxes=HERO)
        result = made.ask(id=VisitorId(customer_ids=[customer]), execute=execute)
        assert len(contents(result["response"].execute.mboxes[0])) == 1
        assert len(contents(made.hero())) == 1


def test_platform_and_browser_have_the_names_that_audiences_use(device: Callable[..., Device]) -> None:
    condition = {
        "and": [
            {"==": [{"var": "user.platform"}, "windows"]},
            {"==": [{"var": "user.browserType"}, "chrome"]},
        ]
    }
    agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36"
    made = device(mboxes_of(rule(condition=condition)))
    assert contents(made.hero(context=Context(channel="web", user_agent=agent))) == ["hello"]


def test_port_is_no_part_of_the_domain(device: Callable[..., Device]) -> None:
    made = device(mboxes_of(rule(condition={"==": [{"var": "page.domain"}, "intranet"]})))
    address = Address(url="http://intranet:3000/")
    assert contents(made.hero(context=Context(channel="web", address=address))) == ["hello"]


def test_referrer_of_an_mbox_is_its_referring_url(device: Callable[..., Device]) -> None:
    made = device(mboxes_of(rule(condition={"==": [{"var": "referring.path"}, "/from"]})))
    own = Address(url="http://a.example/here", referring_url="http://a.example/from")
    assert contents(made.hero(address=own)) == ["hello"]
    context = Context(channel="web", address=Address(referring_url="http://a.example/from"))
    assert contents(made.hero(context=context, address=Address(url="http://a.example/here"))) == ["hello"]


def test_locations_are_compared_in_upper_case_and_returned_unchanged(device: Callable[..., Device]) -> None:
    condition = {"==": [{"var": "geo.city"}, "SAN FRANCISCO"]}
    payload = mboxes_of(rule(condition=condition), geoTargetingEnabled=True, responseTokens=["geo.city"])
    context = Context(channel="web", geo=Geo(city="San Francisco"))
    option = device(payload).hero(context=context).options[0]
    assert option.response_tokens["geo.city"] == "San Francisco"


def test_trace_is_plain_json(device: Callable[..., Device]) -> None:
    made = device(mboxes_of(rule()))
    result = made.ask(execute=ExecuteRequest(mboxes=HERO), trace=Trace(authorization_token="t"))
    trace = result["response"].execute.mboxes[0].trace
    assert json.loads(json.dumps(trace))["campaigns"][0]["id"] == 1
    assert result["trace"] == [trace]


def test_artifact_without_version_raises_at_once() -> None:
    with pytest.raises(TargetError, match="artifact version"):
        Device({key: value for key, value in mboxes_of(rule()).items() if key != "version"})


def test_decision_does_not_read_the_options_of_the_client(device: Callable[..., Device]) -> None:
    payload = mboxes_of(rule())
    made = device(payload)
    payload["rules"]["mboxes"]["hero"].clear()
    assert contents(made.hero()) == ["hello"]


def test_unknown_keys_of_analytics_are_accepted(device: Callable[..., Device]) -> None:
    one = rule()
    one["consequence"]["analytics"] = {"payload": {"pe": "tnt", "tnta": "1:0:0", "new": "x"}}
    payload = device(mboxes_of(one)).hero().analytics.payload
    assert (payload.pe, payload.tnta) == ("tnt", "1:0:0")


@pytest.mark.slow
def test_nothing_is_kept_of_the_visitors_that_were_decided_for(device: Callable[..., Device]) -> None:
    halves = [rule(1, window(0, 50), content="a"), rule(1, window(50, 100), content="b", experience=1)]
    made = device(mboxes_of(*halves), send_notification_func=lambda report: None)
    for n in range(200):
        made.hero(f"early-{n}")
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for n in range(2_000):
            made.hero(f"visitor-{n}")
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 2_000 * 50  # 1.1.0 keeps some hundred bytes for each visitor and activity


# impressions and notifications


def test_notification_without_id_type_or_time_is_dropped_and_the_others_are_sent(
    shop: Shop, closing: Closing
) -> None:
    client = closing(TargetClient.create(shop.options))
    good = Notification(id="n1", type=MetricType.DISPLAY, timestamp=1, tokens=["t"])
    wrong = [Notification(id="", type=MetricType.DISPLAY, timestamp=1), Notification(id="n2", timestamp=1)]
    client.send_notifications({"request": DeliveryRequest(notifications=[*wrong, good])})
    assert [each["id"] for each in shop.deliveries[0].json()["notifications"]] == ["n1"]


def test_impressions_do_not_go_through_a_subclasss_send_notifications(shop: Shop, closing: Closing) -> None:
    class Own(TargetClient):
        def send_notifications(self, options: Any = None, **keywords: Any) -> Any:
            raise AssertionError("called for an impression")

    handed: list[Any] = []
    payload = {"artifact_payload": mboxes_of(rule()), "polling_interval": 0}
    options = {**shop.options, **payload, "decisioning_method": "on-device", "telemetry_enabled": False}
    for more in ({}, {"send_notification_func": handed.append}):
        client = closing(Own.create({**options, **more}))
        client.get_offers({"request": DeliveryRequest(execute=ExecuteRequest(mboxes=HERO))})
        assert client.flush(10)
    assert len(shop.deliveries) == 1
    assert [each.mbox.name for each in handed[0]["request"].notifications] == ["hero"]


def test_dict_is_a_request_for_notifications(shop: Shop, closing: Closing) -> None:
    client = closing(TargetClient.create(shop.options))
    notification = {"id": "n1", "type": "display", "timestamp": 1, "tokens": ["t"]}
    result = client.send_notifications({"request": {"notifications": [notification]}})
    assert result["response"].notifications[0].id == "n1"


def test_empty_response_of_the_beacon_is_parsed(shop: Shop, closing: Closing) -> None:
    shop.script(answer(204))
    client = closing(TargetClient.create(shop.options))
    context = Context(channel=ChannelType.WEB, beacon=True)
    request = DeliveryRequest(context=context, execute=ExecuteRequest(mboxes=HERO))
    assert client.get_offers({"request": request})["response"].execute is None
    assert shop.deliveries[0].json()["context"]["beacon"] is True


# packaging


def test_log_levels_of_the_application_are_not_changed() -> None:
    program = """
import logging
names = ["", "adobe.target", "urllib3", "delivery_api_client"]
for name in names: logging.getLogger(name).setLevel(5)
from target_python_sdk import TargetClient
import delivery_api_client, target_decisioning_engine, target_tools.logger
from delivery_api_client import ApiClient, Configuration
Configuration(); ApiClient(); target_tools.logger.get_logger()
TargetClient.create({"client": "acme", "organization_id": "1@AdobeOrg"})
assert [logging.getLogger(name).level for name in names] == [5] * 4
assert [logging.getLogger(name).handlers for name in names] == [[]] * 4
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
