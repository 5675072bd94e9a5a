"""Spans of HTTP requests and calls, and the trace context that requests carry."""

from __future__ import annotations

import asyncio
import json
import ssl
from socket import gaierror
from typing import Any

import pytest
from opentelemetry import baggage
from opentelemetry.context import attach, detach
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled, suppress_instrumentation
from opentelemetry.trace import SpanKind, StatusCode

from e2e.client.target import ARTIFACT, CLIENT, DELIVERY, GEO, ORGANIZATION, Target, artifact_answer
from otel.conftest import ON_DEVICE, RULES, Make, Telemetry
from servers.faulty import Close, answer, json_answer
from support.cases import each_case
from targetry import TargetClient
from targetry.errors import ApiException, DeadlineError, TransportError
from targetry.otel.http_spans import fault_of
from targetry.testing import FakeTransport
from targetry.testing import answer as fake_answer

HERO = {"execute": {"mboxes": [{"index": 0, "name": "hero"}]}}
CLICK = {"notifications": [{"id": "n", "timestamp": 1, "type": "click"}]}


def test_attempts_are_client_spans_with_exactly_these_attributes(
    make: Make, telemetry: Telemetry, target: Target
) -> None:
    target.on(DELIVERY, answer(503, headers={"Retry-After": "0"}), json_answer({"status": 200}))
    make(telemetry.hook()).get_offers(request=HERO, session_id="private-session")
    common = {
        "http.request.method": "POST",
        "server.address": "127.0.0.1",
        "server.port": target.port,
        "url.full": f"{target.url}{DELIVERY}",
        "targetry.operation": "delivery",
    }
    first, second = telemetry.spans
    assert (first.name, first.kind) == ("POST", SpanKind.CLIENT)
    assert first.attributes == {**common, "http.response.status_code": 503, "error.type": "503"}
    assert second.attributes == {
        **common,
        "http.response.status_code": 200,
        "http.request.resend_count": 1,
    }
    assert (first.status.status_code, second.status.status_code) == (StatusCode.ERROR, StatusCode.UNSET)


def test_failed_attempt_has_the_kind_of_its_failure(make: Make, telemetry: Telemetry, target: Target) -> None:
    target.on(DELIVERY, [Close()])
    with pytest.raises(ApiException):
        make(telemetry.hook()).get_offers(request=HERO)
    span = telemetry.spans[-1]
    assert span.attributes is not None
    assert span.attributes["error.type"]
    assert span.status.status_code is StatusCode.ERROR
    assert span.events == ()


def caused(error: Exception) -> Exception:
    failure = TransportError(reason="failed")
    failure.__cause__ = error
    return failure


FAULTS = {
    "timeout": DeadlineError(),
    "connection_refused": caused(ConnectionRefusedError()),
    "connection_reset": caused(ConnectionResetError()),
    "name_resolution": caused(gaierror()),
    "tls": caused(ssl.SSLError()),
    "cancelled": asyncio.CancelledError(),
    "TransportError": TransportError(reason="other"),
    "ValueError": ValueError("private"),
}


@each_case("kind", FAULTS)
def test_failure_is_named_by_its_cause(kind: str) -> None:
    assert fault_of(FAULTS[kind]) == kind


def test_requests_of_a_call_are_in_its_trace_and_those_in_the_background_are_roots(
    make: Make, telemetry: Telemetry, target: Target
) -> None:
    target.on(ARTIFACT, artifact_answer({**RULES, "geoTargetingEnabled": True}))
    tracer = telemetry.tracer_provider.get_tracer("application")
    with tracer.start_as_current_span("page") as page:
        any_client = make(
            telemetry.hook(), **{**ON_DEVICE, "artifact_payload": None}, cdn_base_path=target.url
        )
        place = {"channel": "web", "geo": {"ipAddress": "12.21.1.40"}}
        any_client.get_offers(request={**HERO, "context": place})
        any_client.send_notifications(request=CLICK)
        assert any_client.flush()
    parents = {
        str(one.attributes["targetry.operation"]): one.parent
        for one in telemetry.spans
        if one.attributes and "targetry.operation" in one.attributes
    }
    own = page.get_span_context().span_id
    shown = {name: parent and parent.span_id == own for name, parent in parents.items()}
    assert shown == {"artifact": None, "notifications": None, "geo": True, "delivery": True}
    assert target.requests_to(GEO)


@pytest.mark.parametrize(
    ("propagate", "is_sent"), [(None, True), (True, True), (False, False)], ids=["default", "always", "never"]
)
def test_trace_context_reaches_a_host_that_the_options_name(
    make: Make, telemetry: Telemetry, target: Target, propagate: bool | None, is_sent: bool
) -> None:
    any_client = make(telemetry.hook(propagate=propagate))
    token = attach(baggage.set_baggage("user", "private"))
    try:
        with telemetry.tracer_provider.get_tracer("application").start_as_current_span("page") as page:
            any_client.get_offers(request=HERO)
    finally:
        detach(token)
    (received,) = target.requests_to()
    assert ("traceparent" in received.headers) is is_sent
    assert "baggage" not in received.headers
    if is_sent:
        _, trace_id, span_id, _ = received.headers["traceparent"].split("-")
        attempt = telemetry.spans[0].get_span_context()
        assert attempt is not None
        assert (int(trace_id, 16), int(span_id, 16)) == (page.get_span_context().trace_id, attempt.span_id)


ADOBE = {"default": (None, False), "always": (True, True)}


@pytest.mark.parametrize(("propagate", "is_sent"), ADOBE.values(), ids=ADOBE)
def test_trace_context_reaches_adobe_only_when_it_is_asked_for(
    telemetry: Telemetry, propagate: bool | None, is_sent: bool
) -> None:
    transport = FakeTransport(by=lambda _: fake_answer({"status": 200}))
    options: dict[str, Any] = {"client": CLIENT, "organization_id": ORGANIZATION, "transport": transport}
    with TargetClient.create(**options, hooks=[telemetry.hook(propagate=propagate)]) as client:
        client.get_offers(request=HERO)
    assert ("traceparent" in transport.requests[0].headers) is is_sent


def test_suppressed_instrumentation_makes_no_span_and_sends_no_header(
    make: Make, telemetry: Telemetry, target: Target
) -> None:
    any_client = make(telemetry.hook())
    with suppress_instrumentation():
        any_client.get_offers(request=HERO)
    assert telemetry.spans == []
    assert telemetry.metric("http.client.request.duration") == {}
    assert "traceparent" not in target.requests_to()[0].headers


def test_http_libraries_make_no_spans_inside_a_request(telemetry: Telemetry) -> None:
    enabled: list[bool] = []

    def respond(_: object) -> Any:
        enabled.append(is_http_instrumentation_enabled())
        return fake_answer({"status": 200})

    options: dict[str, Any] = {"client": CLIENT, "organization_id": ORGANIZATION}
    with TargetClient.create(
        **options, hooks=[telemetry.hook()], transport=FakeTransport(by=respond)
    ) as client:
        client.get_offers(request=HERO)
    assert enabled == [False]
    assert is_http_instrumentation_enabled()


SPANS = {"none": [], "http": ["POST"], "all": ["POST", "targetry get_offers"]}


@pytest.mark.parametrize("spans", SPANS)
def test_spans_are_made_as_the_option_says(make: Make, telemetry: Telemetry, spans: str) -> None:
    make(telemetry.hook(spans=spans)).get_offers(request=HERO)
    assert [one.name for one in telemetry.spans] == SPANS[spans]


def test_span_of_a_call_contains_its_requests_and_events(make: Make, telemetry: Telemetry) -> None:
    make(telemetry.hook(spans="all")).get_offers(request=HERO)
    attempt, call = telemetry.spans
    context = call.get_span_context()
    assert context is not None
    assert attempt.parent is not None
    assert attempt.parent.span_id == context.span_id
    assert call.kind is SpanKind.INTERNAL
    assert call.attributes == {"targetry.decisioning_method": "server-side"}
    (event,) = telemetry.logs.get_finished_logs()
    assert event.log_record.span_id == context.span_id


def test_span_of_a_failed_call_has_its_error(make: Make, telemetry: Telemetry, target: Target) -> None:
    target.on(DELIVERY, answer(500))
    with pytest.raises(ApiException):
        make(telemetry.hook(spans="all")).get_offers(request=HERO)
    call = telemetry.spans[-1]
    assert call.attributes == {"error.type": "ApiException"}
    assert call.status.status_code is StatusCode.ERROR


def test_nothing_of_a_visitor_is_exported_by_default(
    make: Make, telemetry: Telemetry, target: Target
) -> None:
    private = {
        "id": {"thirdPartyId": "private-third", "tntId": "private-tnt.35_0"},
        "context": {"channel": "web", "address": {"url": "https://shop.example/?q=private-query"}},
        "execute": {
            "mboxes": [{"index": 0, "name": "hero", "parameters": {"plan": "private-parameter"}}],
        },
    }
    for options in (ON_DEVICE, {}):
        any_client = make(telemetry.hook(spans="all"), **options)
        any_client.get_offers(request=private, session_id="private-session")
        any_client.send_notifications(request={**CLICK, "id": private["id"]}, session_id="private-session")
        any_client.flag("hero:title", 3, context={"targetingKey": "private-key", "plan": "private-parameter"})
        assert any_client.flush()
    target.on(DELIVERY, answer(400, json.dumps({"message": "private-third"}).encode()))
    with pytest.raises(ApiException):
        any_client.get_offers(request=private)
    exported = telemetry.dump()
    assert "feature_flag.key" in exported
    assert "url.full" in exported
    for part in ("private", "remote hero", "sessionId"):
        assert part not in exported
