"""Hooks of both clients: what they see of calls, impressions, artifact and HTTP requests."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from e2e.client.any_client import AnyClient, Blocking, Connect, Looped, client_factory
from e2e.client.conftest import reach
from e2e.client.target import (
    ARTIFACT,
    CLIENT,
    DELIVERY,
    GEO,
    ORGANIZATION,
    Target,
    artifact,
    artifact_answer,
    rule,
)
from servers.faulty import HANG, Close, answer, json_answer
from support.cases import each_case
from targetry import (
    Activity,
    AsyncTargetClient,
    ClosedError,
    DecisioningMethod,
    Experience,
    OptionError,
    TargetClient,
)
from targetry._client.decisions.evaluations import evaluate_matches
from targetry.device.decide import Match
from targetry.device.ruleset import compile_artifact
from targetry.errors import ApiException, NotReadyError
from targetry.hooks import (
    AcceptedExposure,
    ArtifactChange,
    CallEnded,
    CallStarted,
    ClientHandle,
    Evaluation,
    Hook,
    HttpExchange,
    install_hook,
    uninstall_hook,
)
from targetry.testing import FakeTransport
from targetry.testing import answer as fake_answer

Make = Connect
NEEDED = {"client": CLIENT, "organization_id": ORGANIZATION}
ON_DEVICE = {"decisioning_method": "on-device", "polling_interval": 0}
HERO = {"execute": {"mboxes": [{"index": 0, "name": "hero"}]}}
CLICK = {"notifications": [{"id": "n", "timestamp": 1, "type": "click"}]}
VISITOR = {"tntId": "someone.35_0"}


def named(activity: dict[str, Any], variant: str) -> dict[str, Any]:
    activity["meta"].update({"activity.name": "Act", "experience.id": 7, "experience.name": variant})
    return activity


RULES = artifact(
    localMboxes=["hero", "gold", "split", "both", "none", "target-global-mbox"],
    rules={
        "mboxes": {
            "hero": [named(rule("hero", {"title": "first"}), "all")],
            "gold": [
                rule("gold", "g", condition={"==": ["gold", {"var": "mbox.plan"}]}, activity=2),
                rule("gold", "rest", activity=3),
            ],
            "split": [rule("split", "s", condition={"<=": [0, {"var": "allocation"}, 99]}, activity=4)],
            "none": [rule("none", "n", condition=False)],
            "target-global-mbox": [
                rule("target-global-mbox", "one", activity=5),
                rule("target-global-mbox", "two", activity=6),
            ],
        },
        "views": {"home": [named(rule("home", {"title": "view"}, activity=7, kind="view"), "home view")]},
    },
)


class Recorder(Hook):
    """A hook that keeps what it sees."""

    def __init__(self) -> None:
        self.clients: list[ClientHandle] = []
        self.started: list[CallStarted] = []
        self.ended: list[CallEnded] = []
        self.exposures: list[AcceptedExposure] = []
        self.artifacts: list[ArtifactChange] = []
        self.exchanges: list[HttpExchange] = []
        self.has_artifact = threading.Event()

    def on_open(self, client: ClientHandle) -> None:
        self.clients.append(client)

    def before_request(self, call: CallStarted) -> None:
        self.started.append(call)

    def after_decision(self, call: CallEnded) -> None:
        self.ended.append(call)

    def on_exposure(self, exposure: AcceptedExposure) -> None:
        self.exposures.append(exposure)

    def on_artifact(self, artifact: ArtifactChange) -> None:
        self.artifacts.append(artifact)
        self.has_artifact.set()

    @contextmanager
    def around_http(self, exchange: HttpExchange) -> Iterator[None]:
        yield
        self.exchanges.append(exchange)

    @property
    def last(self) -> CallEnded:
        return self.ended[-1]


@pytest.fixture
def target() -> Iterator[Target]:
    with Target() as target:
        yield target


@pytest.fixture(params=[Blocking, Looped], ids=["sync", "async"])
def make(request: pytest.FixtureRequest, target: Target) -> Iterator[Make]:
    with client_factory(request.param, **reach(target), telemetry_enabled=False) as connect:
        yield lambda *hooks, **options: connect(hooks=hooks, **options)


def seen(evaluation: Evaluation) -> tuple[Any, ...]:
    activity = evaluation.activity
    return (
        evaluation.key,
        evaluation.reason,
        evaluation.variant,
        None if activity is None else activity.id,
        evaluation.value,
    )


# Calls


ON_DEVICE_EVALUATIONS: dict[str, tuple[dict[str, Any], list[tuple[Any, ...]]]] = {
    "static": (
        {"execute": {"mboxes": [{"index": 0, "name": "hero"}]}},
        [("hero", "STATIC", "all", 1, {"title": "first"})],
    ),
    "targeting match": (
        {"prefetch": {"mboxes": [{"index": 0, "name": "gold", "parameters": {"plan": "gold"}}]}},
        [("gold", "TARGETING_MATCH", "0", 2, "g")],
    ),
    "default rule after others": (
        {"execute": {"mboxes": [{"index": 0, "name": "gold"}]}},
        [("gold", "DEFAULT", "0", 3, "rest")],
    ),
    "split": (
        {"execute": {"mboxes": [{"index": 0, "name": "split"}]}},
        [("split", "SPLIT", "0", 4, "s")],
    ),
    "no rule matches": (
        {"execute": {"mboxes": [{"index": 0, "name": "none"}]}},
        [("none", "DEFAULT", None, None, None)],
    ),
    "two mboxes": (
        {"execute": {"mboxes": [{"index": 0, "name": "hero"}, {"index": 1, "name": "none"}]}},
        [("hero", "STATIC", "all", 1, {"title": "first"}), ("none", "DEFAULT", None, None, None)],
    ),
    "page load": (
        {"execute": {"pageLoad": {}}},
        [
            ("target-global-mbox", "STATIC", "0", 5, "one"),
            ("target-global-mbox", "DEFAULT", "0", 6, "two"),
        ],
    ),
    "view": (
        {"prefetch": {"views": [{"name": "home"}]}},
        [("home", "STATIC", "home view", 7, {"title": "view"})],
    ),
    "all views": (
        {"prefetch": {"views": [{}]}},
        [("home", "STATIC", "home view", 7, {"title": "view"})],
    ),
}


@pytest.mark.parametrize(
    ("request_body", "expected"), ON_DEVICE_EVALUATIONS.values(), ids=ON_DEVICE_EVALUATIONS
)
def test_on_device_call_shows_what_each_location_got(
    make: Make, request_body: dict[str, Any], expected: list[tuple[Any, ...]]
) -> None:
    recorder = Recorder()
    any_client = make(recorder, **ON_DEVICE, artifact_payload=RULES)
    body = {"id": VISITOR, **request_body}
    any_client.get_offers(request=body, session_id="session")
    assert [seen(one) for one in recorder.last.evaluations] == expected
    assert {one.version for one in recorder.last.evaluations} == {"2026-01-01T00:00:00Z"}
    assert {one.flag_set for one in recorder.last.evaluations} == {"acme"}


def test_ended_call_has_result_duration_and_method(make: Make) -> None:
    recorder = Recorder()
    any_client = make(recorder, **ON_DEVICE, artifact_payload=RULES)
    result = any_client.get_offers(request={"id": VISITOR, **HERO}, session_id="session")
    (started,), call = recorder.started, recorder.last
    assert (started.kind, started.session_id) == ("get_offers", "session")
    assert started.request is not None
    assert started.request.execute == result.request.execute
    assert call.result is result
    assert call.error is None
    assert call.duration_s > 0
    assert (call.method, call.decided_by) == (DecisioningMethod.ON_DEVICE, DecisioningMethod.ON_DEVICE)
    assert call.visitor_id == "someone"


def test_data_of_a_started_call_is_that_of_the_ended_one(make: Make) -> None:
    class Keeping(Recorder):
        def before_request(self, call: CallStarted) -> None:
            call.data[self] = "kept"

    hook = Keeping()
    make(hook, **ON_DEVICE, artifact_payload=RULES).get_offers(request=HERO)
    assert hook.last.data == {hook: "kept"}


def test_server_side_call_shows_the_offers_of_the_response(make: Make, target: Target) -> None:
    tokens = {"activity.id": 9, "activity.name": "Act", "experience.id": 2, "experience.name": "B"}
    mboxes = [
        {"name": "hero", "options": [{"type": "html", "content": "<b>", "responseTokens": tokens}]},
        {"name": "none"},
    ]
    page = {"options": [{"type": "html", "content": "p"}]}
    views = [{"name": "home", "options": [{"type": "json", "content": 1, "responseTokens": tokens}]}]
    target.on(
        DELIVERY,
        json_answer(
            {"status": 200, "execute": {"mboxes": mboxes, "pageLoad": page}, "prefetch": {"views": views}}
        ),
    )
    recorder = Recorder()
    make(recorder).get_offers(request={"id": VISITOR, "property": {"token": "prop"}, **HERO})
    assert [seen(one) for one in recorder.last.evaluations] == [
        ("target-global-mbox", "UNKNOWN", None, None, "p"),
        ("hero", "UNKNOWN", "B", 9, "<b>"),
        ("none", "DEFAULT", None, None, None),
        ("home", "UNKNOWN", "B", 9, 1),
    ]
    assert recorder.last.decided_by is DecisioningMethod.SERVER_SIDE
    assert {one.flag_set for one in recorder.last.evaluations} == {"prop"}
    assert {one.version for one in recorder.last.evaluations} == {None}


KINDS: dict[str, Callable[[AnyClient], object]] = {
    "get_offers": lambda any_client: any_client.get_offers(request=HERO),
    "get_attributes": lambda any_client: any_client.get_attributes(["hero"]),
    "send_notifications": lambda any_client: any_client.send_notifications(request=CLICK),
    "flag": lambda any_client: any_client.flag("hero:title", "default", context={"targetingKey": "someone"}),
    "all_flags": lambda any_client: any_client.all_flags(context={"targetingKey": "someone"}),
    "decide": lambda any_client: any_client.client.decide(
        "hero", any_client.visitor(third_party_id="someone")
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_call_is_shown_once(make: Make, kind: str) -> None:
    recorder = Recorder()
    KINDS[kind](make(recorder, **ON_DEVICE, artifact_payload=RULES))
    assert [one.kind for one in recorder.started] == [one.kind for one in recorder.ended] == [kind]


@pytest.mark.parametrize("kind", ["flag", "decide"])
def test_single_decision_shows_its_evaluation_and_visitor(make: Make, kind: str) -> None:
    recorder = Recorder()
    KINDS[kind](make(recorder, **ON_DEVICE, artifact_payload=RULES))
    (evaluation,) = recorder.last.evaluations
    expected = ("hero:title", "first") if kind == "flag" else ("hero", {"title": "first"})
    assert (evaluation.key, evaluation.value) == expected
    assert (evaluation.reason, evaluation.variant) == ("STATIC", "all")
    assert evaluation.activity == Activity(1, "Act", "landing")
    assert evaluation.experience == Experience(7, "all")
    assert (evaluation.flag_set, evaluation.version) == ("acme", "2026-01-01T00:00:00Z")
    assert recorder.last.visitor_id == "someone"
    assert recorder.last.decided_by is DecisioningMethod.ON_DEVICE
    assert (recorder.last.name, recorder.last.request) == (evaluation.key, None)


def test_all_flags_are_one_call_with_an_evaluation_for_each(make: Make) -> None:
    recorder = Recorder()
    KINDS["all_flags"](make(recorder, **ON_DEVICE, artifact_payload=RULES))
    assert [seen(one) for one in recorder.last.evaluations] == [
        ("both", "DEFAULT", None, None, None),
        ("gold", "DEFAULT", "0", 3, "rest"),
        ("hero", "STATIC", "all", 1, {"title": "first"}),
        ("hero:title", "STATIC", "all", 1, "first"),
        ("none", "DEFAULT", None, None, None),
        ("split", "SPLIT", "0", 4, "s"),
    ]
    assert recorder.last.visitor_id == "someone"
    assert recorder.last.decided_by is DecisioningMethod.ON_DEVICE
    assert (recorder.last.name, recorder.last.request, recorder.exposures) == (None, None, [])


def test_all_flags_without_rules_end_with_an_error_and_no_evaluation(make: Make) -> None:
    recorder = Recorder()
    any_client = make(recorder, **ON_DEVICE, artifact_location="http://127.0.0.1:1/", maximum_wait_ready=1)
    with pytest.raises(NotReadyError) as raised:
        any_client.all_flags()
    assert (recorder.last.error, recorder.last.evaluations) == (raised.value, [])


def test_flag_without_a_value_shows_its_error_and_no_value_of_the_caller(make: Make) -> None:
    recorder = Recorder()
    any_client = make(recorder, **ON_DEVICE, artifact_payload=RULES)
    any_client.flag("hero", 3)
    (evaluation,) = recorder.last.evaluations
    assert (evaluation.reason, evaluation.error_code) == ("ERROR", "TYPE_MISMATCH")
    assert evaluation.error_message == "the flag has a value of another type"
    assert recorder.last.error is None


def test_server_side_flag_is_one_call(make: Make) -> None:
    recorder = Recorder()
    make(recorder).flag("hero:title", "default", context={"targetingKey": "someone"})
    assert [one.kind for one in recorder.ended] == ["flag"]
    assert recorder.last.decided_by is DecisioningMethod.SERVER_SIDE
    assert [one.operation for one in recorder.exchanges] == ["delivery"]


FAILURES: dict[str, tuple[dict[str, Any], int, type[Exception], str, str]] = {
    "status": (
        {},
        503,
        ApiException,
        "GENERAL",
        "the call failed: status 503",
    ),
    "bad request": (
        {},
        400,
        ApiException,
        "INVALID_CONTEXT",
        "the request or context is wrong: status 400",
    ),
    "not ready": (
        {
            "decisioning_method": "on-device",
            "artifact_location": "http://127.0.0.1:1/",
            "maximum_wait_ready": 1,
        },
        200,
        NotReadyError,
        "PROVIDER_NOT_READY",
        "there are no rules yet, or the client is closed",
    ),
}


@pytest.mark.parametrize(("options", "status", "error", "code", "message"), FAILURES.values(), ids=FAILURES)
def test_failed_call_shows_its_error_for_each_location(
    make: Make,
    target: Target,
    options: dict[str, Any],
    status: int,
    error: type[Exception],
    code: str,
    message: str,
) -> None:
    target.on(DELIVERY, answer(status))
    recorder = Recorder()
    any_client = make(recorder, **options)
    asked = {"mboxes": [{"index": 0, "name": "hero"}], "pageLoad": {}}
    with pytest.raises(error) as raised:
        any_client.get_offers(request={"execute": asked, "prefetch": {"views": [{"name": "home"}]}})
    call = recorder.last
    assert call.error is raised.value
    assert (call.result, call.decided_by) == (None, None)
    assert [(one.key, one.reason, one.error_code) for one in call.evaluations] == [
        ("target-global-mbox", "ERROR", code),
        ("hero", "ERROR", code),
        ("home", "ERROR", code),
    ]
    assert {one.error_message for one in call.evaluations} == {message}


def test_call_of_a_closed_client_or_with_wrong_options_is_not_shown(make: Make) -> None:
    recorder = Recorder()
    any_client = make(recorder)
    with pytest.raises(OptionError):
        any_client.get_offers(request={"nonsense": 1})
    any_client.close()
    with pytest.raises(ClosedError):
        any_client.get_offers(request=HERO)
    assert recorder.started == []


def test_stale_rules_are_the_reason() -> None:
    rules = compile_artifact(RULES)
    matches = [Match("mbox", "none", "none", None, [])]
    (evaluation,) = evaluate_matches(matches, rules, None, "acme", is_stale=True)
    assert evaluation.reason == "STALE"


# Impressions


EXPOSED: dict[str, Callable[[AnyClient], object]] = {
    "get_offers": lambda any_client: any_client.get_offers(
        request={"id": VISITOR, **HERO}, session_id="session"
    ),
    "decide": lambda any_client: any_client.client.decide(
        "hero", any_client.visitor(tnt_id="someone.35_0", session_id="session")
    ),
    "flag": lambda any_client: any_client.flag(
        "hero", None, context={"tntId": "someone.35_0", "sessionId": "session"}
    ),
}


@pytest.mark.parametrize("kind", EXPOSED)
def test_accepted_impression_is_shown(make: Make, kind: str) -> None:
    recorder = Recorder()
    EXPOSED[kind](make(recorder, **ON_DEVICE, artifact_payload=RULES))
    (exposure,) = recorder.exposures
    assert (exposure.key, exposure.session_id, exposure.property_token) == ("hero", "session", None)
    assert (exposure.activity, exposure.experience) == (Activity(1, "Act", "landing"), Experience(7, "all"))
    assert exposure.visitor_id is not None
    assert exposure.visitor_id.tnt_id == "someone.35_0"
    assert abs(exposure.timestamp_ms / 1000 - time.time()) < 60


def test_impression_that_is_not_accepted_is_not_shown(make: Make) -> None:
    recorder = Recorder()

    def refuse(_: object) -> None:
        raise RuntimeError

    any_client = make(recorder, **ON_DEVICE, artifact_payload=RULES, send_notification_func=refuse)
    any_client.get_offers(request=HERO)
    assert recorder.exposures == []


# Artifact


def test_new_artifact_is_shown(make: Make, target: Target) -> None:
    recorder = Recorder()
    make(recorder, **ON_DEVICE, cdn_base_path=target.url)
    assert recorder.artifacts == [ArtifactChange(kind="new", location=f"{target.url}{ARTIFACT}")]


UNUSABLE = {
    "refused": (answer(200, b"not JSON"), "refused", "invalid"),
    "failed by status": (answer(404), "failed", "status_404"),
    "failed connection": ([Close()], "failed", "connection"),
}


@pytest.mark.parametrize(("behaviour", "kind", "reason"), UNUSABLE.values(), ids=UNUSABLE)
def test_artifact_that_is_not_used_is_shown_with_its_reason(
    make: Make, target: Target, behaviour: Any, kind: str, reason: str
) -> None:
    target.on(ARTIFACT, behaviour)
    recorder = Recorder()
    make(recorder, **ON_DEVICE, cdn_base_path=target.url, maximum_wait_ready=1)
    assert recorder.has_artifact.wait(30)
    change = recorder.artifacts[0]
    assert (change.kind, change.reason) == (kind, reason)
    assert change.error is not None


AGES = {"artifact_stale": ("stale", 7.5), "artifact_fresh": ("fresh", 0.0)}


@pytest.mark.parametrize("event", AGES)
def test_age_of_the_artifact_is_shown(make: Make, event: str) -> None:
    kind, age_s = AGES[event]
    recorder = Recorder()
    any_client = make(recorder, **ON_DEVICE, artifact_payload=RULES)
    any_client.client.event_emitter(event, {"artifact_location": "here", "age_s": age_s})
    (change,) = recorder.artifacts
    assert (change.kind, change.age_s) == (kind, age_s)


# HTTP


def test_each_attempt_of_a_call_is_shown_with_its_response(make: Make, target: Target) -> None:
    busy = answer(503, headers={"Retry-After": "0"})
    target.on(DELIVERY, busy, json_answer({"status": 200}))
    recorder = Recorder()
    make(recorder).get_offers(request=HERO)
    first, second = recorder.exchanges
    assert [(one.operation, one.request.resend_count) for one in (first, second)] == [
        ("delivery", 0),
        ("delivery", 1),
    ]
    assert first.response is not None
    assert second.response is not None
    assert (first.response.status, second.response.status) == (503, 200)
    assert (first.is_own_host, first.is_background) == (True, False)


def test_attempt_that_fails_is_shown_with_its_error(make: Make, target: Target) -> None:
    target.on(DELIVERY, [Close()])
    recorder = Recorder()
    with pytest.raises(ApiException) as raised:
        make(recorder).get_offers(request=HERO)
    assert recorder.exchanges[-1].response is None
    assert recorder.exchanges[-1].error is raised.value


def test_request_of_every_purpose_is_shown(make: Make, target: Target) -> None:
    target.on(ARTIFACT, artifact_answer({**RULES, "geoTargetingEnabled": True}))
    recorder = Recorder()
    any_client = make(recorder, **ON_DEVICE, cdn_base_path=target.url)
    any_client.get_offers(request={**HERO, "context": {"channel": "web", "geo": {"ipAddress": "12.21.1.40"}}})
    any_client.send_notifications(request=CLICK)
    assert any_client.flush()
    shown = {one.operation: one.is_background for one in recorder.exchanges}
    assert shown == {"artifact": True, "geo": False, "delivery": False, "notifications": True}
    assert all(one.is_own_host for one in recorder.exchanges)
    assert [one.path for one in target.requests if one.path == GEO] == [GEO]


def test_header_fields_of_a_hook_are_sent_and_others_are_not(make: Make, target: Target) -> None:
    class Adding(Hook):
        @contextmanager
        def around_http(self, exchange: HttpExchange) -> Iterator[None]:
            exchange.headers.update({"X-Mine": "yes", "X-Number": 3, "X-Line": "a\r\nX-Other: b"})  # type: ignore[dict-item]
            yield

    any_client = make(Adding())
    any_client.get_offers(request=HERO)
    (received,) = target.requests_to()
    assert received.headers["x-mine"] == "yes"
    assert received.headers.keys().isdisjoint({"x-number", "x-line", "x-other"})
    assert any_client.client.stats().hook_failures == 2


OWN_HOSTS: dict[str, tuple[dict[str, Any], bool]] = {
    "Adobe's host": ({}, False),
    "a host of Adobe as server_domain": ({"server_domain": "other.tt.omtrdc.net"}, False),
    "a host of the user's": ({"server_domain": "target.example:8443"}, True),
}


@pytest.mark.parametrize(("options", "is_own"), OWN_HOSTS.values(), ids=OWN_HOSTS)
def test_hosts_of_the_options_are_trusted(options: dict[str, Any], is_own: bool) -> None:
    recorder = Recorder()
    transport = FakeTransport(by=lambda _: fake_answer({"status": 200}))
    with TargetClient.create(**NEEDED, **options, hooks=[recorder], transport=transport) as client:
        client.get_offers(request=HERO)
    assert [one.is_own_host for one in recorder.exchanges] == [is_own]


# Faults and order


class Raising(Hook):
    def on_open(self, client: ClientHandle) -> None:
        raise SystemExit

    def before_request(self, call: CallStarted) -> None:
        raise RuntimeError("secret of a visitor")

    def after_decision(self, call: CallEnded) -> None:
        raise RuntimeError

    def on_exposure(self, exposure: AcceptedExposure) -> None:
        raise RuntimeError

    def on_artifact(self, artifact: ArtifactChange) -> None:
        raise RuntimeError

    def around_http(self, exchange: HttpExchange) -> AbstractContextManager[object]:
        raise RuntimeError


class RaisingInside(Hook):
    @contextmanager
    def around_http(self, exchange: HttpExchange) -> Iterator[None]:
        yield
        raise RuntimeError


def test_hook_that_raises_is_only_counted(
    make: Make, target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder()
    any_client = make(Raising(), recorder, RaisingInside(), **ON_DEVICE, cdn_base_path=target.url)
    with caplog.at_level(logging.ERROR, "adobe.target"):
        for _ in range(3):
            assert any_client.get_offers(request=HERO).content("hero") == {"title": "first"}
    assert any_client.flush()
    assert any_client.client.stats().notifications.sent == 3
    assert (len(recorder.ended), len(recorder.exposures)) == (3, 3)
    # At least `on_open`, and for each call `before_request`, `after_decision`, `on_exposure`.
    assert any_client.client.stats().hook_failures >= 1 + 3 * 3
    lines = [record.getMessage() for record in caplog.records if "before_request" in record.getMessage()]
    assert lines == ["the hook Raising.before_request failed: RuntimeError; the call goes on without it"]


def test_hook_that_calls_the_client_has_no_effect(make: Make) -> None:
    class Asking(Hook):
        calls = 0

        def after_decision(self, call: CallEnded) -> None:
            self.calls += 1
            if self.calls == 1 and isinstance(any_client, Blocking):
                any_client.get_offers(request=HERO)

    hook = Asking()
    any_client = make(hook, **ON_DEVICE, artifact_payload=RULES)
    assert any_client.get_offers(request=HERO).content("hero") == {"title": "first"}
    assert hook.calls == (2 if isinstance(any_client, Blocking) else 1)
    assert any_client.client.stats().hook_failures == 0


def test_hooks_begin_in_their_order_and_end_in_the_reverse(make: Make) -> None:
    order: list[str] = []

    class Named(Hook):
        def __init__(self, name: str) -> None:
            self.name = name

        def before_request(self, call: CallStarted) -> None:
            order.append(f"before {self.name}")

        def after_decision(self, call: CallEnded) -> None:
            order.append(f"after {self.name}")

        @contextmanager
        def around_http(self, exchange: HttpExchange) -> Iterator[None]:
            order.append(f"enter {self.name}")
            yield
            order.append(f"leave {self.name}")

    make(Named("a"), Named("b")).get_offers(request=HERO)
    assert order == [
        "before a", "before b", "enter a", "enter b", "leave b", "leave a", "after b", "after a",
    ]  # fmt: skip


def test_cancelled_call_ends_with_its_error(target: Target) -> None:
    recorder = Recorder()
    target.on(DELIVERY, HANG)

    async def cancelled() -> None:
        async with await AsyncTargetClient.create(reach(target), hooks=[recorder]) as client:
            call = asyncio.create_task(client.get_offers(request=HERO))
            await asyncio.to_thread(target.wait_for, 1)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    asyncio.run(cancelled())
    assert isinstance(recorder.last.error, asyncio.CancelledError)
    assert isinstance(recorder.exchanges[0].error, asyncio.CancelledError)


def test_call_with_a_callback_runs_in_the_context_of_its_caller(target: Target) -> None:
    who: ContextVar[str] = ContextVar("who", default="nobody")
    seen_by: list[str] = []

    class Seeing(Hook):
        def before_request(self, call: CallStarted) -> None:
            seen_by.append(who.get())

    with TargetClient.create(reach(target), hooks=[Seeing()]) as client:
        who.set("caller")
        client.get_offers(request=HERO, callback=lambda _: seen_by.append(who.get())).get(30)
    assert seen_by == ["caller", "caller"]


# At the door


class Coroutine:
    async def after_decision(self, call: CallEnded) -> None: ...


class NoMethod:
    def after(self, call: CallEnded) -> None: ...


class NotCallable:
    on_artifact = 3


WRONG: dict[str, tuple[Any, str, str]] = {
    "a class": ([Recorder], "hooks[0]", "must be an instance, not the class Recorder"),
    "no hook": ([Recorder(), 3], "hooks[1]", "must have one of the methods on_open"),
    "none of the methods": ([NoMethod()], "hooks[0]", "must have one of the methods on_open"),
    "a coroutine": ([Coroutine()], "hooks[0].after_decision", "must not be a coroutine function"),
    "not callable": ([NotCallable()], "hooks[0].on_artifact", "must be callable"),
    "not a sequence": (Recorder(), "hooks", "must be a sequence of hooks, not Recorder"),
}


@each_case("hooks, path, reason", WRONG.values(), ids=WRONG)
def test_wrong_hook_raises_with_its_position(hooks: Any, path: str, reason: str) -> None:
    with pytest.raises(OptionError) as raised:
        TargetClient.create(**NEEDED, hooks=hooks)
    assert raised.value.path == path
    assert raised.value.reason.startswith(reason)


def test_object_with_one_of_the_methods_is_a_hook(make: Make) -> None:
    class Plain:
        def __init__(self) -> None:
            self.ended: list[CallEnded] = []

        def after_decision(self, call: CallEnded) -> None:
            self.ended.append(call)

    plain = Plain()
    make(plain, **ON_DEVICE, artifact_payload=RULES).get_offers(request=HERO)
    assert [one.kind for one in plain.ended] == ["get_offers"]


def test_installed_hook_observes_later_clients_unless_they_have_one(make: Make) -> None:
    make(**ON_DEVICE, artifact_payload=RULES)
    installed, own = Recorder(), Recorder()
    install_hook(installed)
    try:
        any_client = make(**ON_DEVICE, artifact_payload=RULES)
        make(own, **ON_DEVICE, artifact_payload=RULES)
    finally:
        uninstall_hook(installed)
    make(**ON_DEVICE, artifact_payload=RULES)
    any_client.get_offers(request=HERO)
    assert len(installed.clients) == len(own.clients) == len(installed.ended) == 1


def test_client_handle_has_the_counts_of_the_client(make: Make) -> None:
    recorder = Recorder()
    any_client = make(recorder, **ON_DEVICE, artifact_payload=RULES)
    any_client.get_offers(request=HERO)
    (handle,) = recorder.clients
    assert (handle.client, handle.method) == ("acme", DecisioningMethod.ON_DEVICE)
    assert handle.stats().notifications.accepted == 1


def test_payloads_show_no_ids_when_they_are_printed(make: Make) -> None:
    recorder = Recorder()
    any_client = make(recorder, **ON_DEVICE, artifact_payload=RULES)
    any_client.get_offers(request={"id": VISITOR, **HERO}, session_id="private")
    any_client.send_notifications(request={"id": VISITOR, **CLICK}, session_id="private")
    shown = repr([recorder.started, recorder.ended, recorder.exposures, recorder.exchanges])
    shown += repr([one.evaluations for one in recorder.ended])
    assert "someone" not in shown
    assert "private" not in shown


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_forked_child_observes_its_own_calls_only() -> None:
    recorder = Recorder()
    options = {**NEEDED, **ON_DEVICE, "artifact_payload": RULES, "telemetry_enabled": False}
    with TargetClient.create(options, hooks=[recorder], send_notification_func=lambda _: None) as client:
        client.get_offers(request=HERO)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                client.get_offers(request=HERO)
                status = 0 if len(recorder.ended) == 2 and client.stats().hook_failures == 0 else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        client.get_offers(request=HERO)
    assert len(recorder.ended) == 2
