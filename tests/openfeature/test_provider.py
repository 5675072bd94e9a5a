"""`TargetProvider`: options, life cycle, errors, tracking."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import (
    ErrorCode,
    GeneralError,
    OpenFeatureError,
    ProviderFatalError,
    ProviderNotReadyError,
)
from openfeature.provider import FeatureProvider
from openfeature.track import TrackingEventDetails

from e2e.client.conftest import reach
from e2e.client.target import ARTIFACT, DELIVERY, Target, artifact, artifact_answer, rule
from openfeature import api
from servers.faulty import HANG, answer
from support.device import mboxes_of, window
from support.device import rule as device_rule
from targetry import AsyncTargetClient, OptionError, TargetClient
from targetry.openfeature import TargetProvider
from targetry.samples import shop

SOMEONE = EvaluationContext("u1")
CLICKABLE = artifact(
    localMboxes=["hero"],
    rules={
        "mboxes": {
            "hero": [
                {
                    **rule("hero", {"title": "first"}),
                    "consequence": {
                        "name": "hero",
                        "options": [{"type": "json", "content": {"title": "first"}, "eventToken": "seen"}],
                        "metrics": [{"type": "click", "eventToken": "clicked"}],
                    },
                }
            ]
        },
        "views": {},
    },
)


@pytest.fixture
def target() -> Iterator[Target]:
    with Target() as target:
        yield target


def options(target: Target, **more: Any) -> dict[str, Any]:
    given = {
        **reach(target),
        "decisioning_method": "on-device",
        "artifact_payload": artifact(),
        "polling_interval": 0,
    }
    return {**given, **more}


@pytest.fixture
def started(target: Target) -> Iterator[Any]:
    made: list[TargetProvider] = []

    def start(*arguments: Any, **more: Any) -> TargetProvider:
        provider = (
            TargetProvider(*arguments, **more) if arguments else TargetProvider(**options(target, **more))
        )
        made.append(provider)
        provider.initialize(EvaluationContext())
        return provider

    yield start
    for provider in made:
        provider.shutdown()


def test_it_is_a_feature_provider_with_a_name() -> None:
    provider: FeatureProvider = TargetProvider(client="acme", organization_id="1@AdobeOrg")
    assert provider.get_metadata().name == "Adobe Target (Targetry)"
    assert provider.get_provider_hooks() == []


@pytest.mark.parametrize(
    ("arguments", "keywords"),
    [
        ((), {}),
        ((None,), {}),
        (("acme",), {}),
        (({"client": "acme"},), {"client": "acme"}),
        ((), {"client": "acme", "separator": "::"}),
        ((), {"client": "acme", "flags": {"a": ":"}}),
        ((), {"client": "acme", "targeting_key": "email"}),
        ((), {"client": "acme", "targeting_key_parameter": ""}),
        ((), {"client": "acme", "impressions": "twice"}),
        ((), {"client": "acme", "impression_window": 0}),
        ((), {"client": "acme", "ready_timeout": -1}),
        ((), {"client": "acme", "ready_timeout": "5"}),
        ((), {"client": "acme", "ready_timeout": float("inf")}),
    ],
)
def test_wrong_option_raises_in_the_constructor(arguments: Any, keywords: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        TargetProvider(*arguments, **keywords)


@pytest.mark.parametrize(
    "wrong",
    [
        {"client": ""},
        {"artifact_payload": b"no artifact"},
        {"artifact_payload": None, "artifact_location": "/nowhere/rules.json"},
        {"timeout": -1},
    ],
)
def test_client_option_that_cannot_work_is_fatal(target: Target, wrong: dict[str, Any]) -> None:
    provider = TargetProvider(options(target, **wrong))
    with pytest.raises(ProviderFatalError):
        provider.initialize(EvaluationContext())


def test_options_in_a_mapping_are_those_of_a_client(started: Any, target: Target) -> None:
    assert value(started(options(target)), "hero:title") == "first"


def value(provider: TargetProvider, key: str, context: EvaluationContext | None = SOMEONE) -> str:
    return provider.resolve_string_details(key, "default", context).value


def error_of(provider: TargetProvider, key: str, context: EvaluationContext | None = SOMEONE) -> ErrorCode:
    with pytest.raises(OpenFeatureError) as caught:
        provider.resolve_string_details(key, "default", context)
    return caught.value.error_code


def test_given_client_is_used_and_stays_open(started: Any, target: Target) -> None:
    with TargetClient.create(options(target)) as client:
        provider = started(client)
        assert provider.client is client
        assert value(provider, "hero:title") == "first"
        provider.shutdown()
        assert provider.client is None
        client.get_offers(request={"prefetch": {"mboxes": [{"name": "hero"}]}})
        provider.initialize(EvaluationContext())
        assert value(provider, "hero:title") == "first"


def test_own_client_is_closed_and_created_again(started: Any) -> None:
    provider = started()
    first = provider.client
    provider.shutdown()
    provider.shutdown()
    with pytest.raises(ProviderNotReadyError):
        provider.resolve_string_details("hero:title", "d", SOMEONE)
    provider.initialize(EvaluationContext())
    assert provider.client is not first
    assert value(provider, "hero:title") == "first"


def test_closed_client_is_fatal(target: Target) -> None:
    client = TargetClient.create(options(target))
    client.close()
    with pytest.raises(ProviderFatalError, match="closed"):
        TargetProvider(client).initialize(EvaluationContext())


def test_separator_aliases_and_targeting_key_act(started: Any, target: Target) -> None:
    provider = started(
        separator="|", flags={"title": "hero|title"}, targeting_key="tnt_id", impressions="always"
    )
    assert value(provider, "hero|title") == value(provider, "title") == "first"
    assert error_of(provider, "hero:title") is ErrorCode.FLAG_NOT_FOUND
    provider.client.flush()
    assert [body["id"] for body in target.bodies] == [{"tntId": "u1"}] * 2


@pytest.mark.parametrize(("impressions", "expected"), [("once", 1), ("always", 3), ("never", 0)])
def test_impressions_are_reported_by_the_option(
    started: Any, target: Target, impressions: str, expected: int
) -> None:
    provider = started(impressions=impressions)
    for _ in range(3):
        value(provider, "hero:title")
    provider.client.flush()
    assert len(target.bodies) == expected
    assert provider.stats().impressions_repeated == (2 if impressions == "once" else 0)


def test_impression_window_ends(started: Any, target: Target) -> None:
    provider = started(impression_window=1e-9)
    value(provider, "hero:title")
    value(provider, "hero:title")
    provider.client.flush()
    assert len(target.bodies) == 2


def test_targeting_key_parameter_can_be_used_by_rules(started: Any) -> None:
    document = mboxes_of(device_rule(1, {"==": [{"var": "mbox.key"}, "u1"]}, content="mine"), device_rule(2))
    provider = started(artifact_payload=document, targeting_key_parameter="key")
    assert value(provider, "hero") == "mine"
    assert value(provider, "hero", EvaluationContext("u2")) == "hello"
    assert value(provider, "hero", EvaluationContext("u1", {"targetingKey": "u2"})) == "mine"
    assert value(provider, "hero", EvaluationContext(None, {"targetingKey": "u1"})) == "mine"


@pytest.mark.parametrize(
    ("key", "context", "code"),
    [
        ("nope", SOMEONE, ErrorCode.FLAG_NOT_FOUND),
        ("hero", SOMEONE, ErrorCode.TYPE_MISMATCH),
        ("hero:title", EvaluationContext("u1", {"url": 5}), ErrorCode.INVALID_CONTEXT),
    ],
)
def test_error_is_raised_with_its_code(
    started: Any, key: str, context: EvaluationContext, code: ErrorCode
) -> None:
    provider = started()
    assert error_of(provider, key, context) is code
    assert provider.stats().error_codes == {code.value: 1}


def test_visitor_without_targeting_key_gets_no_split(started: Any) -> None:
    provider = started(artifact_payload=mboxes_of(device_rule(1, window(0, 99.98))))
    assert error_of(provider, "hero", None) is ErrorCode.TARGETING_KEY_MISSING
    assert value(provider, "hero") in ("hello", "default")


def test_bool_is_no_integer_on_either_road(started: Any) -> None:
    provider = started(artifact_payload=mboxes_of(device_rule(1, content=True, kind="json")))
    with pytest.raises(OpenFeatureError):
        provider.resolve_integer_details("hero", 0, SOMEONE)
    with pytest.raises(OpenFeatureError):
        asyncio.run(provider.resolve_integer_details_async("hero", 0, SOMEONE))
    assert provider.resolve_boolean_details("hero", False, SOMEONE).value is True


def test_silent_cdn_is_not_ready_within_its_time_and_ready_when_rules_come(target: Target) -> None:
    target.on(ARTIFACT, answer(503))
    provider = TargetProvider(
        options(target, artifact_payload=None, cdn_base_path=target.url, polling_interval=1000),
        ready_timeout=0.2,
    )
    received: list[str] = []
    provider.attach(lambda _, event, details: received.append(event.value))
    started_at = time.monotonic()
    with pytest.raises(ProviderNotReadyError, match="503"):
        provider.initialize(EvaluationContext())
    assert time.monotonic() - started_at < 4  # by default it waits 5 seconds
    target.on(ARTIFACT, artifact_answer(artifact()))
    client = provider.client
    assert client is not None
    assert client.refresh_artifact().outcome == "updated"
    assert received == ["PROVIDER_READY"]
    assert value(provider, "hero:title") == "first"
    provider.shutdown()


def test_new_rules_name_the_flags_that_changed(target: Target, tmp_path: Any) -> None:
    target.on(ARTIFACT, artifact_answer(artifact()))
    provider = TargetProvider(
        options(target, artifact_payload=None, cdn_base_path=target.url), flags={"headline": "hero:title"}
    )
    received: list[tuple[str, Any]] = []
    provider.initialize(EvaluationContext())
    provider.attach(lambda _, event, details: received.append((event.value, details.flags_changed)))
    client = provider.client
    assert client is not None
    for document in (
        artifact(generated_at="2026-01-02T00:00:00Z"),
        artifact("new", generated_at="2026-01-03T00:00:00Z"),
    ):
        target.on(ARTIFACT, artifact_answer(document))
        client.refresh_artifact()
    assert received == [("PROVIDER_CONFIGURATION_CHANGED", ["headline", "hero"])]
    provider.shutdown()


def test_server_side_provider_is_ready_at_once_and_calls_the_server(started: Any, target: Target) -> None:
    provider = started(decisioning_method="server-side", artifact_payload=None)
    assert value(provider, "hero:title") == "remote hero"
    assert asyncio.run(provider.resolve_string_details_async("far:title", "d", SOMEONE)).value == "remote far"


def test_hanging_server_takes_the_timeout(started: Any, target: Target) -> None:
    target.on(DELIVERY, HANG)
    provider = started(decisioning_method="server-side", artifact_payload=None, timeout=1000)
    with pytest.raises(OpenFeatureError, match=r"no response within (0\.\d+|1) s"):
        provider.resolve_string_details("hero", "default", SOMEONE)


def test_asynchronous_client_awaits_and_decides_here_without_a_wait(target: Target) -> None:
    async def ask() -> tuple[str, str]:
        client = await AsyncTargetClient.create(options(target, decisioning_method="hybrid"))
        async with client:
            provider = TargetProvider(client)
            provider.initialize(EvaluationContext())
            details = await provider.resolve_string_details_async("far:title", "d", SOMEONE)
            with pytest.raises(GeneralError) as refused:
                value(provider, "far:title")
            assert refused.value.error_message == "this client is asynchronous: use get_…_async"
            return details.value, value(provider, "hero:title")

    assert asyncio.run(ask()) == ("remote far", "first")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is not there")
def test_forked_child_evaluates_and_reports_once(started: Any, target: Target) -> None:
    provider = started(impressions="always")
    child = os.fork()
    if not child:
        status = 1
        try:
            good = all(value(provider, "hero:title") == "first" for _ in range(20))
            status = 0 if good and provider.client.flush() else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    provider.client.flush()
    assert len(target.bodies) == 20


def test_values_are_those_of_get_offers(started: Any) -> None:
    provider = started(artifact_payload=shop())
    rng = random.Random(1)
    for _ in range(100):
        key = str(rng.random())
        result = provider.client.get_offers(
            request={"id": {"thirdPartyId": key}, "prefetch": {"mboxes": [{"name": "hero"}]}}
        )
        (option,) = result.response.prefetch.mboxes[0].options
        details = provider.resolve_string_details("hero", "d", EvaluationContext(key))
        assert details.value == option.content
        assert details.variant == option.response_tokens["experience.name"]


# Tracking


def tracked(target: Target, provider: TargetProvider) -> dict[str, Any]:
    assert provider.client is not None
    provider.client.flush()  # type: ignore[unused-coroutine]
    (body,) = target.bodies
    (notification,) = body["notifications"]
    return {name: one for name, one in notification.items() if name not in ("id", "timestamp")} | {
        "who": body["id"]
    }


@pytest.mark.parametrize(
    ("name", "details", "expected"),
    [
        ("signup", None, {"type": "display", "mbox": {"name": "signup"}}),
        (
            "buy",
            TrackingEventDetails(12.5, {"orderId": "o-1", "purchasedProductIds": ["p"], "color": "red"}),
            {
                "type": "display",
                "mbox": {"name": "buy"},
                "order": {"id": "o-1", "total": 12.5, "purchasedProductIds": ["p"]},
                "parameters": {"color": "red"},
            },
        ),
        (
            "click",
            TrackingEventDetails(attributes={"flagKey": "hero:title"}),
            {"type": "click", "mbox": {"name": "hero"}, "tokens": ["clicked"]},
        ),
        (
            "click",
            TrackingEventDetails(attributes={"flagKey": "unknown"}),
            {"type": "display", "mbox": {"name": "click"}},
        ),
    ],
)
def test_tracking_event_is_a_notification(
    started: Any, target: Target, name: str, details: TrackingEventDetails | None, expected: dict[str, Any]
) -> None:
    provider = started(artifact_payload=CLICKABLE)
    provider.track(name, SOMEONE, details)
    assert tracked(target, provider) == {**expected, "who": {"thirdPartyId": "u1"}}


@pytest.mark.parametrize(
    ("context", "details"),
    [
        (EvaluationContext("u1", {"url": 5}), None),
        (SOMEONE, TrackingEventDetails(-1.0)),
        (SOMEONE, TrackingEventDetails(attributes={"purchasedProductIds": 5})),
        (SOMEONE, TrackingEventDetails(attributes={"orderTotal": 5})),
        (SOMEONE, TrackingEventDetails(attributes={"flagKey": 5})),
    ],
)
def test_tracking_event_that_cannot_be_sent_is_counted(
    started: Any, target: Target, context: EvaluationContext, details: TrackingEventDetails | None
) -> None:
    provider = started()
    provider.track("buy", context, details)
    assert provider.stats().tracking_dropped == 1
    provider.shutdown()
    provider.track("buy", SOMEONE)
    assert provider.stats().tracking_dropped == 2
    assert target.bodies == []


def test_tracking_events_without_a_name_are_logged_once_a_minute(
    started: Any, caplog: pytest.LogCaptureFixture
) -> None:
    provider = started()
    for _ in range(3):
        provider.track("", SOMEONE)
    assert provider.stats().tracking_dropped == 3
    dropped = [line for line in caplog.messages if "tracking event" in line]
    assert dropped == ["The tracking event '' is dropped: name: must be the name of an mbox, not ''"]


def test_tracking_uses_the_merged_context_of_the_sdk(target: Target) -> None:
    provider = TargetProvider(options(target))
    api.set_provider_and_wait(provider, "tracking")
    client = api.get_client("tracking")
    client.context = EvaluationContext("u9")
    client.track("signup")
    assert tracked(target, provider)["who"] == {"thirdPartyId": "u9"}
    api.clear_providers()
