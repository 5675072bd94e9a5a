"""Evaluation events of OpenFeature's own hook, for this provider and for others."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from openfeature.evaluation_context import EvaluationContext
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

from e2e.client.target import CLIENT, ORGANIZATION
from openfeature import api
from otel.conftest import ON_DEVICE, Telemetry
from targetry import OptionError
from targetry.openfeature import TargetProvider
from targetry.otel.openfeature import FeatureFlagHook

HASH = hashlib.blake2b(b"someone", digest_size=8).hexdigest()
CONTEXT = EvaluationContext("someone")
OPTIONS: dict[str, Any] = {
    "client": CLIENT,
    "organization_id": ORGANIZATION,
    "telemetry_enabled": False,
    "send_notification_func": lambda _: None,
    **ON_DEVICE,
}


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    yield
    api.clear_hooks()
    api.clear_providers()


def hook(telemetry: Telemetry, **options: Any) -> FeatureFlagHook:
    return FeatureFlagHook(logger_provider=telemetry.logger_provider, **options)


OF_TARGET = {
    "feature_flag.key": "hero:title",
    "feature_flag.provider.name": "Adobe Target",
    "feature_flag.result.reason": "static",
    "feature_flag.result.variant": "all",
    "feature_flag.context.id": HASH,
    "feature_flag.set.id": "acme",
    "feature_flag.version": "2026-01-01T00:00:00Z",
    "targetry.activity.id": "1",
    "targetry.activity.name": "Act",
    "targetry.experience.id": "7",
    "targetry.decisioning_method": "on-device",
}


def evaluate(*, is_async: bool, key: str = "hero:title") -> str:
    client = api.get_client()
    if is_async:
        return asyncio.run(client.get_string_value_async(key, "", CONTEXT))
    return client.get_string_value(key, "", CONTEXT)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_evaluation_by_the_provider_is_reported_once(telemetry: Telemetry, is_async: bool) -> None:
    api.set_provider_and_wait(TargetProvider(**OPTIONS, hooks=[telemetry.hook()]))
    api.add_hooks([hook(telemetry)])
    assert evaluate(is_async=is_async) == "private content"
    assert telemetry.events == [OF_TARGET]
    (count,) = telemetry.metric("targetry.evaluations").values()
    assert count == 1


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_hook_of_the_client_reports_without_one_of_openfeature(telemetry: Telemetry, is_async: bool) -> None:
    api.set_provider_and_wait(TargetProvider(**OPTIONS, hooks=[telemetry.hook()]))
    evaluate(is_async=is_async)
    assert telemetry.events == [OF_TARGET]


def test_flag_of_the_client_is_reported_next_to_a_hook_of_openfeature(telemetry: Telemetry) -> None:
    provider = TargetProvider(**OPTIONS, hooks=[telemetry.hook()])
    api.set_provider_and_wait(provider)
    api.add_hooks([hook(telemetry)])
    evaluate(is_async=False)
    assert provider.client is not None
    provider.client.flag("hero:title", "", context={"targetingKey": "someone"})
    assert len(telemetry.events) == 2


def test_failed_evaluation_is_reported_with_its_code(telemetry: Telemetry) -> None:
    api.set_provider_and_wait(TargetProvider(**OPTIONS, hooks=[telemetry.hook()]))
    api.add_hooks([hook(telemetry)])
    evaluate(is_async=False, key="unknown")
    (event,) = telemetry.events
    assert event == {
        "feature_flag.key": "unknown",
        "feature_flag.provider.name": "Adobe Target",
        "feature_flag.result.reason": "error",
        "feature_flag.context.id": HASH,
        "error.type": "flag_not_found",
        "feature_flag.error.message": "there is no flag of this key",
    }


def test_other_providers_are_reported_by_their_names(telemetry: Telemetry) -> None:
    flags = {"banner": InMemoryFlag("on", {"on": "private content"})}
    api.set_provider_and_wait(InMemoryProvider(flags))
    api.add_hooks([hook(telemetry, include_value=True, context_id="none")])
    evaluate(is_async=False, key="banner")
    assert telemetry.events == [
        {
            "feature_flag.key": "banner",
            "feature_flag.provider.name": "In-Memory Provider",
            "feature_flag.result.reason": "static",
            "feature_flag.result.variant": "on",
            "feature_flag.result.value": '"private content"',
        }
    ]


def test_hook_without_events_reports_nothing_and_leaves_it_to_the_client(telemetry: Telemetry) -> None:
    api.set_provider_and_wait(TargetProvider(**OPTIONS, hooks=[telemetry.hook()]))
    api.add_hooks([hook(telemetry, events="none")])
    evaluate(is_async=False)
    assert telemetry.events == [OF_TARGET]


@pytest.mark.parametrize("option", ["events", "context_id", "include_value", "logger_provider"])
def test_wrong_option_is_refused_by_name(option: str) -> None:
    with pytest.raises(OptionError) as raised:
        FeatureFlagHook(**{option: "wrong"})
    assert raised.value.path == option
