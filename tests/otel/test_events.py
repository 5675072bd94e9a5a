"""Evaluation events: their attributes, and where they go."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry._logs import SeverityNumber

from e2e.client.any_client import AnyClient
from e2e.client.target import DELIVERY, Target
from otel.conftest import ON_DEVICE, RULES, Make, Telemetry
from servers.faulty import answer, json_answer
from support.cases import each_case
from support.edge import web_client
from support.ofrep import evaluate
from targetry import OptionError
from targetry.errors import ApiException
from targetry.otel import OpenTelemetryHook

VISITOR = "visitor-4711"
HASH = hashlib.blake2b(VISITOR.encode(), digest_size=8).hexdigest()
HERO = {
    "id": {"thirdPartyId": VISITOR, "tntId": f"{VISITOR}.35_0"},
    "execute": {"mboxes": [{"index": 0, "name": "hero"}]},
}


def asking(name: str) -> dict[str, Any]:
    return {**HERO, "execute": {"mboxes": [{"index": 0, "name": name}]}}


COMMON = {
    "feature_flag.provider.name": "Adobe Target",
    "feature_flag.set.id": "acme",
    "feature_flag.context.id": HASH,
    "feature_flag.version": "2026-01-01T00:00:00Z",
    "targetry.decisioning_method": "on-device",
}
OF_HERO = {
    **COMMON,
    "feature_flag.key": "hero",
    "feature_flag.result.reason": "static",
    "feature_flag.result.variant": "all",
    "targetry.activity.id": "1",
    "targetry.activity.name": "Act",
    "targetry.experience.id": "7",
}
CALLS: dict[str, tuple[Callable[[AnyClient], object], dict[str, Any]]] = {
    "get_offers": (lambda client: client.get_offers(request=HERO), OF_HERO),
    "get_attributes": (lambda client: client.get_attributes(["hero"], request={"id": HERO["id"]}), OF_HERO),
    "decide": (lambda client: client.client.decide("hero", client.visitor(tnt_id=VISITOR)), OF_HERO),
    "flag": (
        lambda client: client.flag("hero:title", "", context={"tntId": VISITOR}),
        {**OF_HERO, "feature_flag.key": "hero:title"},
    ),
    "flag of the wrong type": (
        lambda client: client.flag("hero", 3, context={"tntId": VISITOR}),
        {
            "feature_flag.provider.name": "Adobe Target",
            "feature_flag.set.id": "acme",
            "feature_flag.context.id": HASH,
            "feature_flag.key": "hero",
            "feature_flag.result.reason": "error",
            "error.type": "type_mismatch",
            "feature_flag.error.message": "the flag has a value of another type",
        },
    ),
    "split": (
        lambda client: client.get_offers(request=asking("split")),
        {
            **COMMON,
            "feature_flag.key": "split",
            "feature_flag.result.reason": "split",
            "feature_flag.result.variant": "0",
            "targetry.activity.id": "4",
            "targetry.experience.id": "0",
        },
    ),
    "default content": (
        lambda client: client.get_offers(request=asking("none")),
        {
            **COMMON,
            "feature_flag.key": "none",
            "feature_flag.result.reason": "default",
            "feature_flag.result.value": "null",
        },
    ),
}


@pytest.mark.parametrize(("call", "expected"), CALLS.values(), ids=CALLS)
def test_call_on_device_emits_an_event_with_exactly_these_attributes(
    make: Make, telemetry: Telemetry, call: Callable[[AnyClient], object], expected: dict[str, Any]
) -> None:
    call(make(telemetry.hook(), **ON_DEVICE))
    assert telemetry.events == [expected]


def test_all_flags_emit_an_event_for_each_flag(make: Make, telemetry: Telemetry) -> None:
    make(telemetry.hook(), **ON_DEVICE).all_flags(context={"tntId": VISITOR})
    events = {event.pop("feature_flag.key"): event for event in telemetry.events}
    of_hero = {name: value for name, value in OF_HERO.items() if name != "feature_flag.key"}
    assert list(events) == ["hero", "hero:title", "none", "split"]
    assert events["hero"] == events["hero:title"] == of_hero


OFREP: dict[str, tuple[str, dict[str, Any]]] = {
    "flag": ("hero:title", {**OF_HERO, "feature_flag.key": "hero:title"}),
    "unknown flag": (
        "unknown",
        {
            "feature_flag.provider.name": "Adobe Target",
            "feature_flag.set.id": "acme",
            "feature_flag.context.id": HASH,
            "feature_flag.key": "unknown",
            "feature_flag.result.reason": "error",
            "error.type": "flag_not_found",
            "feature_flag.error.message": "there is no flag of this key",
        },
    ),
}


@pytest.mark.parametrize(("key", "expected"), OFREP.values(), ids=OFREP)
def test_evaluation_over_ofrep_emits_the_same_attributes(
    telemetry: Telemetry, key: str, expected: dict[str, Any]
) -> None:
    client = web_client(artifact=RULES, client="acme", hooks=[telemetry.hook()])
    evaluate(client, key, {"tntId": VISITOR})
    assert telemetry.events == [expected]


def test_event_is_a_log_record_of_severity_info_in_the_scope_of_targetry(
    make: Make, telemetry: Telemetry
) -> None:
    make(telemetry.hook(), **ON_DEVICE).get_offers(request=HERO)
    (exported,) = telemetry.logs.get_finished_logs()
    assert exported.log_record.severity_number is SeverityNumber.INFO
    scope = exported.instrumentation_scope
    assert (scope.name, scope.schema_url) == ("targetry", "https://opentelemetry.io/schemas/1.44.0")


def test_server_side_call_emits_the_tokens_of_the_response(
    make: Make, telemetry: Telemetry, target: Target
) -> None:
    tokens = {"activity.id": 9, "activity.name": "Act", "experience.id": 2, "experience.name": "B"}
    option = {"type": "html", "content": "private content", "responseTokens": tokens}
    mboxes = [{"name": "hero", "options": [option]}]
    body = {"status": 200, "id": {"tntId": f"{VISITOR}.35_0"}, "execute": {"mboxes": mboxes}}
    target.on(DELIVERY, json_answer(body))
    make(telemetry.hook(), property_token="prop").get_offers(request=HERO)
    assert telemetry.events == [
        {
            "feature_flag.key": "hero",
            "feature_flag.provider.name": "Adobe Target",
            "feature_flag.result.reason": "unknown",
            "feature_flag.result.variant": "B",
            "feature_flag.set.id": "prop",
            "feature_flag.context.id": HASH,
            "targetry.activity.id": "9",
            "targetry.activity.name": "Act",
            "targetry.experience.id": "2",
            "targetry.decisioning_method": "server-side",
        }
    ]


def test_failed_call_emits_its_error(make: Make, telemetry: Telemetry, target: Target) -> None:
    target.on(DELIVERY, answer(500))
    with pytest.raises(ApiException):
        make(telemetry.hook()).get_offers(request=HERO)
    assert telemetry.events == [
        {
            "feature_flag.key": "hero",
            "feature_flag.provider.name": "Adobe Target",
            "feature_flag.result.reason": "error",
            "feature_flag.set.id": "acme",
            "feature_flag.context.id": HASH,
            "error.type": "general",
            "feature_flag.error.message": "the call failed: status 500",
        }
    ]


CONTEXT_IDS = {"hash": {HASH}, "plain": {VISITOR}, "none": {None}}


@pytest.mark.parametrize("option", CONTEXT_IDS)
def test_context_id_is_exported_as_the_option_says(telemetry: Telemetry, make: Make, option: str) -> None:
    make(telemetry.hook(context_id=option), **ON_DEVICE).get_offers(request=HERO)
    assert {one.get("feature_flag.context.id") for one in telemetry.events} == CONTEXT_IDS[option]


def test_value_is_exported_as_json_when_it_is_asked_for(telemetry: Telemetry, make: Make) -> None:
    make(telemetry.hook(include_value=True), **ON_DEVICE).get_offers(request=HERO)
    (event,) = telemetry.events
    assert event["feature_flag.result.value"] == '{"title":"private content"}'


def test_long_value_is_cut(telemetry: Telemetry, make: Make, target: Target) -> None:
    option = {"type": "html", "content": "x" * 5000}
    target.on(
        DELIVERY, json_answer({"status": 200, "execute": {"mboxes": [{"name": "a", "options": [option]}]}})
    )
    make(telemetry.hook(include_value=True)).get_offers(request=HERO)
    assert len(telemetry.events[0]["feature_flag.result.value"]) == 1000


@pytest.mark.parametrize(
    ("events", "logs", "of_span"), [("log", 1, 0), ("span", 0, 1), ("both", 1, 1), ("none", 0, 0)]
)
def test_events_go_where_the_option_says(
    make: Make, telemetry: Telemetry, events: str, logs: int, of_span: int
) -> None:
    any_client = make(telemetry.hook(events=events), **ON_DEVICE)
    tracer = telemetry.tracer_provider.get_tracer("application")
    with tracer.start_as_current_span("page") as span:
        any_client.get_offers(request=HERO)
    assert len(telemetry.events) == logs
    (page,) = (one for one in telemetry.spans if one.name == "page")
    assert [dict(one.attributes or {}) for one in page.events] == [OF_HERO] * of_span
    trace_ids = {one.log_record.trace_id for one in telemetry.logs.get_finished_logs()}
    assert trace_ids == ({span.get_span_context().trace_id} if logs else set())


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "events": ({"events": "logs"}, "events"),
    "spans": ({"spans": True}, "spans"),
    "context id": ({"context_id": None}, "context_id"),
    "metrics": ({"metrics": "yes"}, "metrics"),
    "value": ({"include_value": 1}, "include_value"),
    "propagate": ({"propagate": "always"}, "propagate"),
    "tracer provider": ({"tracer_provider": object()}, "tracer_provider"),
    "meter provider": ({"meter_provider": object()}, "meter_provider"),
    "logger provider": ({"logger_provider": object()}, "logger_provider"),
}


@each_case("options, path", WRONG.values(), ids=WRONG)
def test_wrong_option_is_refused_by_name(options: dict[str, Any], path: str) -> None:
    with pytest.raises(OptionError) as raised:
        OpenTelemetryHook(**options)
    assert raised.value.path == path
