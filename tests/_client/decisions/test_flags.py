"""`flag`, `flag_details` and `all_flags` of both clients, on each decisioning method."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.client.any_client import AnyClient, Blocking, Connect, Looped, client_factory
from e2e.client.conftest import reach
from e2e.client.target import ARTIFACT, DELIVERY, GEO, Target, artifact, rule
from servers.faulty import HANG, answer, json_answer
from support.cases import each_case
from targetry import ClosedError, OptionError, TargetClient
from targetry._client.decisions.flag_evaluator import details_of, wanted_type
from targetry.errors import NotReadyError
from targetry.flags.flow import drive
from targetry.testing import AsyncFakeTransport, FakeTransport

Make = Connect


@pytest.fixture
def target() -> Iterator[Target]:
    with Target() as target:
        yield target


@pytest.fixture(params=[Blocking, Looped], ids=["sync", "async"])
def make(request: pytest.FixtureRequest, target: Target) -> Iterator[Make]:
    def start(**options: Any) -> AnyClient:
        if options.get("decisioning_method", "on-device") == "server-side":
            return connect(**options)
        return connect(**{"decisioning_method": "on-device", "artifact_payload": FLAGS, **options})

    with client_factory(request.param, **reach(target), polling_interval=0) as connect:
        yield start


FLAGS = artifact(
    localMboxes=["hero", "numbers", "split", "roman", "target-global-mbox"],
    rules={
        "mboxes": {
            "hero": [rule("hero", {"title": "first", "inner": {"on": True}})],
            "numbers": [rule("numbers", {"one": 1, "half": 0.5, "no": None}, activity=5)],
            "split": [
                rule("split", {"on": True}, condition={">=": [99.98, {"var": "allocation"}]}, activity=6)
            ],
            "roman": [
                rule("roman", {"title": "ave"}, condition={"==": [{"var": "geo.city"}, "ROME"]}, activity=2)
            ],
            "target-global-mbox": [],
        },
        "views": {},
    },
)
SOMEONE = {"targetingKey": "u1"}


@pytest.mark.parametrize(
    ("key", "default", "expected"),
    [
        ("hero:title", "", "first"),
        ("hero:inner.on", False, True),
        ("hero:inner", {}, {"on": True}),
        ("hero", {}, {"title": "first", "inner": {"on": True}}),
        ("hero", None, {"title": "first", "inner": {"on": True}}),
        ("numbers:one", 0, 1),
        ("numbers:one", 0.0, 1.0),
        ("numbers:half", 0.0, 0.5),
        ("split:on", False, True),
        ("hero:title", 7, 7),  # another type
        ("hero", [1], [1]),
        ("numbers:half", 3, 3),
        ("hero:missing", "d", "d"),
        ("unknown", "d", "d"),
        ("far", "d", "d"),
        ("", "d", "d"),
        ("hero\0", "d", "d"),
        ("x" * 10_000, "d", "d"),
    ],
)
def test_flag_on_device(make: Make, key: str, default: Any, expected: Any) -> None:
    any_client = make()
    for given in ({"context": SOMEONE}, {"visitor": any_client.visitor(third_party_id="u1")}):
        value = any_client.flag(key, default, **given)
        assert value == expected
        assert type(value) is type(expected)


def test_details_on_device(make: Make) -> None:
    details = make().flag_details("hero:title", "", context=SOMEONE)
    assert (details.key, details.value, details.variant, details.reason) == (
        "hero:title",
        "first",
        "0",
        "STATIC",
    )
    assert details.error_code is details.error_message is None
    assert details.metadata == {
        "activity.id": 1,
        "activity.type": "landing",
        "experience.id": 0,
        "decisioningMethod": "on-device",
        "flagSetId": "acme",
        "version": "2026-01-01T00:00:00Z",
    }


@pytest.mark.parametrize(
    ("key", "context", "code"),
    [
        (":", SOMEONE, "FLAG_NOT_FOUND"),
        ("unknown", SOMEONE, "FLAG_NOT_FOUND"),
        ("hero:no", SOMEONE, "FLAG_NOT_FOUND"),
        ("hero", SOMEONE, "TYPE_MISMATCH"),
        ("split:on", {}, "TARGETING_KEY_MISSING"),
        ("split:on", None, "TARGETING_KEY_MISSING"),
        ("hero:title", {"url": 5}, "INVALID_CONTEXT"),
        ("hero:title", {"targetingKey": 5}, "INVALID_CONTEXT"),
        ("hero:title", {"a": float("nan")}, "INVALID_CONTEXT"),
    ],
)
def test_error_is_a_result_with_the_default(make: Make, key: str, context: Any, code: str) -> None:
    details = make().flag_details(key, "d", context=context)
    assert (details.value, details.reason, details.error_code) == ("d", "ERROR", code)
    assert details.error_message


@pytest.mark.parametrize(
    "arguments",
    [
        {"key": 5, "default": ""},
        {"key": None, "default": ""},
        {"key": "hero", "default": object()},
        {"key": "hero", "default": {1}},
        {"key": "hero", "default": "", "context": [1]},
        {"key": "hero", "default": "", "visitor": "u1"},
    ],
)
def test_argument_of_a_wrong_type_raises(make: Make, arguments: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        make().flag(**arguments)


@pytest.mark.parametrize(
    ("context", "code"),
    [({"plan": "gold"}, None), ({"tntId": "t"}, "INVALID_CONTEXT"), ({"profile.a": 1}, "INVALID_CONTEXT")],
)
def test_context_next_to_a_visitor_adds_parameters_only(
    make: Make, context: dict[str, Any], code: str | None
) -> None:
    gold = {"==": [{"var": "mbox.plan"}, "gold"]}
    document = artifact(rules={"mboxes": {"hero": [rule("hero", {"a": 1}, condition=gold)]}, "views": {}})
    any_client = make(artifact_payload=document)
    details = any_client.flag_details(
        "hero:a", 0, visitor=any_client.visitor(parameters={"plan": "free"}), context=context
    )
    assert (details.value, details.error_code) == ((0, code) if code else (1, None))


def test_impression_is_reported_once_in_a_window(make: Make, target: Target) -> None:
    any_client = make()
    for _ in range(5):
        any_client.flag("hero:title", "", context=SOMEONE)
        any_client.flag("hero:title", "", context={"targetingKey": "u2"})
    assert any_client.flush()
    assert sorted(body["id"]["thirdPartyId"] for body in target.bodies) == ["u1", "u2"]
    flags = any_client.client.stats().flags
    assert flags.impressions_repeated == 8
    assert flags.reasons == {"STATIC": 10}


def test_visitor_without_id_is_a_new_one_each_time(make: Make, target: Target) -> None:
    any_client = make()
    for _ in range(3):
        any_client.flag("hero:title", "")
    assert any_client.flush()
    assert len({body["id"]["tntId"] for body in target.bodies}) == 3


def test_report_has_the_session_and_property_of_the_context(make: Make, target: Target) -> None:
    any_client = make()
    any_client.flag("hero:title", "", context={**SOMEONE, "sessionId": "s-1", "property": "p-1"})
    assert any_client.flush()
    (received,) = target.requests_to(DELIVERY)
    assert "sessionId=s-1" in received.target
    assert received.json()["property"] == {"token": "p-1"}


def test_all_flags_lists_flags_of_the_rules_without_impressions(make: Make, target: Target) -> None:
    any_client = make()
    flags = any_client.all_flags(context=SOMEONE)
    assert {key: details.value for key, details in flags.items()} == {
        "hero": {"title": "first", "inner": {"on": True}},
        "hero:title": "first",
        "hero:inner": {"on": True},
        "numbers": {"one": 1, "half": 0.5, "no": None},
        "numbers:one": 1,
        "numbers:half": 0.5,
        "numbers:no": None,
        "roman": None,
        "split": {"on": True},
        "split:on": True,
    }
    assert list(flags) == sorted(flags, key=lambda key: (key.partition(":")[0], list(flags).index(key)))
    without_id = any_client.all_flags()
    assert without_id["split"].error_code == "TARGETING_KEY_MISSING"
    assert without_id["hero:title"].value == "first"
    assert any_client.flush()
    assert target.bodies == []


def test_all_flags_with_a_wrong_context_raises_with_its_path(make: Make) -> None:
    with pytest.raises(OptionError) as raised:
        make().all_flags(context={"url": 5})
    assert (raised.value.path, raised.value.reason) == ("context.url", "must be a str, not int")


def test_all_flags_raises_where_no_flag_is_known(make: Make, target: Target) -> None:
    with pytest.raises(OptionError, match="server-side"):
        make(decisioning_method="server-side").all_flags()
    target.on(ARTIFACT, answer(503))
    empty = make(artifact_payload=None, cdn_base_path=target.url, maximum_wait_ready=50)
    with pytest.raises(NotReadyError):
        empty.all_flags()
    empty.close()
    with pytest.raises(ClosedError):
        empty.all_flags()


def test_location_of_the_context_is_looked_up(make: Make, target: Target) -> None:
    any_client = make(artifact_payload={**FLAGS, "geoTargetingEnabled": True}, cdn_base_path=target.url)
    assert any_client.flag("roman:title", "", context={**SOMEONE, "ip": "12.21.1.40"}) == "ave"
    assert len(target.requests_to(GEO)) == 1
    assert any_client.flag("roman:title", "", context={**SOMEONE, "geo": {"city": "Rome"}}) == "ave"
    assert len(target.requests_to(GEO)) == 1


def test_without_rules_or_after_close_the_provider_is_not_ready(make: Make, target: Target) -> None:
    target.on(ARTIFACT, answer(503))
    any_client = make(artifact_payload=None, cdn_base_path=target.url, maximum_wait_ready=50)
    assert any_client.flag_details("hero", "d", context=SOMEONE).error_code == "PROVIDER_NOT_READY"
    any_client.close()
    assert any_client.flag_details("hero", "d", context=SOMEONE).error_code == "PROVIDER_NOT_READY"


@pytest.mark.parametrize("method", ["server-side", "hybrid"])
def test_flag_that_the_server_decides(make: Make, target: Target, method: str) -> None:
    any_client = make(decisioning_method=method)
    context = {**SOMEONE, "plan": "gold", "profile.age": 3, "order": {"id": "o-1"}, "sessionId": "s-1"}
    details = any_client.flag_details("far:title", "", context=context)
    assert (details.value, details.reason) == ("remote far", "UNKNOWN")
    assert details.metadata == {
        "activity.name": "far",
        "decisioningMethod": "server-side",
        "flagSetId": "acme",
    }
    (body,) = target.bodies
    assert body["id"] == {"thirdPartyId": "u1"}
    assert body["execute"]["mboxes"] == [
        {
            "index": 0,
            "name": "far",
            "parameters": {"plan": "gold"},
            "profileParameters": {"age": "3"},
            "order": {"id": "o-1"},
        }
    ]


def test_server_executes_once_in_a_window_and_then_prefetches(make: Make, target: Target) -> None:
    any_client = make(decisioning_method="server-side")
    for _ in range(3):
        assert any_client.flag("far:title", "", context=SOMEONE) == "remote far"
    any_client.flag("far:title", "", context={**SOMEONE, "plan": "gold"})
    assert [("execute" in body, "prefetch" in body) for body in target.bodies] == [
        (True, False),
        (False, True),
        (False, True),
        (True, False),
    ]


def test_impression_of_a_call_that_failed_is_still_due(make: Make, target: Target) -> None:
    any_client = make(decisioning_method="server-side")
    target.on(DELIVERY, answer(400), answer(204))
    assert any_client.flag_details("far:title", "d", context=SOMEONE).error_code == "INVALID_CONTEXT"
    any_client.flag("far:title", "d", context=SOMEONE)
    assert ["execute" in body for body in target.bodies] == [True, True]


def test_response_without_options_is_the_default(make: Make, target: Target) -> None:
    target.on(DELIVERY, json_answer({"status": 200, "execute": {"mboxes": [{"index": 0, "name": "far"}]}}))
    details = make(decisioning_method="server-side").flag_details("far", "d", context=SOMEONE)
    assert (details.value, details.reason, details.error_code) == ("d", "DEFAULT", None)


def test_hanging_server_returns_the_default_after_the_timeout(make: Make, target: Target) -> None:
    target.on(DELIVERY, HANG)
    any_client = make(decisioning_method="server-side", timeout=1000)
    details = any_client.flag_details("far", "d", context=SOMEONE)
    assert (details.value, details.error_code) == ("d", "GENERAL")
    assert re.search(r"no response within (0\.\d+|1) s", details.error_message or "")


@pytest.mark.parametrize("fault", [RuntimeError("broken"), TypeError("broken")])
def test_transport_of_the_caller_that_raises_gives_the_default(make: Make, fault: Exception) -> None:
    def broken(request: object) -> Any:
        raise fault

    transports = {"transport": FakeTransport(broken), "async_transport": AsyncFakeTransport(broken)}
    details = make(decisioning_method="server-side", **transports).flag_details("far", "d", context=SOMEONE)
    assert (details.value, details.error_code) == ("d", "GENERAL")


def test_hybrid_client_calls_the_server_for_a_visitor(make: Make, target: Target) -> None:
    any_client = make(decisioning_method="hybrid")
    visitor = any_client.visitor(tnt_id="v", parameters={"a": "b"}, session_id="s-2")
    assert any_client.flag("far:title", "", visitor=visitor, context={"c": "d"}) == "remote far"
    (received,) = target.requests_to(DELIVERY)
    assert "sessionId=s-2" in received.target
    body = json.loads(received.body)
    assert body["id"]["tntId"] == "v"
    assert body["execute"]["mboxes"][0]["parameters"] == {"a": "b", "c": "d"}


@pytest.mark.parametrize(("method", "value"), [("on-device", "d"), ("hybrid", "ave")])
def test_flag_without_the_needed_geo_lookup_is_not_decided(
    make: Make, target: Target, tmp_path: Path, method: str, value: str
) -> None:
    """As with `decide`, a kept visitor is remote to later rules that use its place."""
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(FLAGS))
    any_client = make(
        decisioning_method=method, artifact_payload=None, artifact_location=file, cdn_base_path=target.url
    )
    visitor = any_client.visitor(tnt_id="v", context={"channel": "web", "geo": {"ipAddress": "12.21.1.40"}})
    later = artifact(generated_at="2026-02-01T00:00:00Z", geoTargetingEnabled=True)
    file.write_text(json.dumps(later))
    assert any_client.refresh_artifact().outcome == "updated"
    details = any_client.flag_details("roman:title", "d", visitor=visitor)
    assert details.value == value
    assert details.error_code == (None if value == "ave" else "FLAG_NOT_FOUND")
    assert details.metadata.get("decisioningMethod") == (None if value == "d" else "on-device")


def test_parameters_of_visitor_and_context_are_at_most_fifty_together(make: Make) -> None:
    any_client = make()
    visitor = any_client.visitor(parameters={f"a{n}": "x" for n in range(30)})
    context = {f"b{n}": "x" for n in range(21)}
    details = any_client.flag_details("hero:title", "d", visitor=visitor, context=context)
    assert (details.value, details.error_code) == ("d", "INVALID_CONTEXT")


def test_changing_an_attribute_changes_no_later_one(make: Make) -> None:
    any_client = make()
    any_client.flag("hero:inner", {}, context=SOMEONE)["on"] = "changed"
    assert any_client.flag("hero:inner", {}, context=SOMEONE) == {"on": True}


def test_evaluation_without_a_wait_equals_the_flow() -> None:
    """Compare the entry for what has to wait for nothing with the flow."""
    options = {"client": "acme", "organization_id": "o@AdobeOrg", "decisioning_method": "on-device"}
    with TargetClient.create(**options, artifact_payload=FLAGS, polling_interval=0) as client:
        visitor = client.visitor(third_party_id="u1")

        @each_case("key", ["hero", "hero:title", "numbers:one", "split:on", "roman", "gone", "", "hero:x"])
        @each_case("default", ["", None, 7])
        @each_case(
            "visitor, context", [(visitor, None), (visitor, {"plan": "gold"}), (None, SOMEONE), (None, {})]
        )
        def check(key: str, default: Any, visitor: Any, context: Any) -> None:
            arguments = (key, wanted_type(default), visitor, context)
            now = client._flags.evaluate_now(*arguments)
            assert now is not None
            flowed = drive(client._flags.evaluate(*arguments), pytest.fail)
            assert details_of(now, default) == details_of(flowed, default)

        check()
