"""Steps of OpenFeature's provider TCK, for `TargetProvider` and for an OFREP client of an edge."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagEvaluationDetails
from openfeature.provider import ProviderStatus
from pytest_bdd import given, parsers, then, when

from e2e.client.target import ARTIFACT, artifact_answer
from servers.faulty import answer
from support.openfeature_tck import World, rules_of


def pytest_bdd_apply_tag(tag: str, function: Any) -> bool:
    """Select no scenarios by their tags."""
    return True


def pytest_bdd_before_scenario(request: pytest.FixtureRequest, feature: Any, scenario: Any) -> None:
    """Skip what the provider does not declare."""
    undeclared = request.getfixturevalue("undeclared")
    for tag in sorted(feature.tags | scenario.tags):
        if tag in undeclared:
            pytest.skip(undeclared[tag])


@pytest.fixture
def undeclared() -> dict[str, str]:
    """Return why a provider does not have the capabilities of these tags."""
    return {"disabled-flags": "an artifact has no disabled activities: they are not in it"}


@pytest.fixture
def world(is_async: bool) -> Iterator[World]:
    world = World(is_async)
    yield world
    world.stop()


PARSERS: dict[str, Callable[[str], Any]] = {
    "Boolean": lambda text: text == "true",
    "Integer": int,
    "Float": float,
    "String": str,
    "Object": json.loads,
}

# Steps


@given("a stable provider")
def stable_provider(world: World) -> None:
    world.start(wait=True)


@given("a unavailable provider")
def unavailable_provider(world: World) -> None:
    world.target.on(ARTIFACT, answer(503))
    world.start(wait=False, ready_timeout=0.3)


@given(
    parsers.re('a (?P<kind>[A-Z][a-z]+)-flag with key "(?P<key>.*)" and a default value "(?P<default>.*)"')
)
def flag(world: World, kind: str, key: str, default: str) -> None:
    world.flag = (kind, key, PARSERS[kind](default.replace('\\"', '"')))


@given(parsers.re('a context containing a targeting key with value "(?P<key>.*)"'))
def context(world: World, key: str) -> None:
    world.context = EvaluationContext(key)


@given(parsers.re("a (?P<name>ready|stale|error|change) event handler"))
def event_handler(world: World, name: str) -> None:
    world.listen(name)


@when("the flag was evaluated with details")
def evaluated(world: World) -> None:
    world.evaluate()


@when("the resolved value is remembered")
def remembered(world: World) -> None:
    assert world.details is not None
    world.remembered = world.details.value


@when("the flag was modified")
def modified(world: World) -> None:
    flag = world.flags[world.flag[1]]
    flag["defaultVariant"] = next(name for name in flag["variants"] if name != flag["defaultVariant"])
    world.target.on(ARTIFACT, artifact_answer(rules_of(world.flags)))


@when("a ready event was fired")
def ready_was_fired(world: World) -> None:
    world.wait_for("ready")


@when("the connection is lost")
def connection_lost(world: World) -> None:
    world.target.on(ARTIFACT, answer(503))


@when("the connection is restored")
def connection_restored(world: World) -> None:
    world.target.on(ARTIFACT, artifact_answer(rules_of(world.flags)))


@when("the provider is shut down")
def shut_down(world: World) -> None:
    assert world.provider is not None
    started = time.monotonic()
    world.provider.shutdown()
    world.shutdown_s = time.monotonic() - started


@when("the provider is initialized again")
def initialized_again(world: World) -> None:
    assert world.provider is not None
    world.provider.initialize(EvaluationContext())


@then(parsers.re("the (?P<name>[a-z]+) event handler should have been executed( within .*ms)?"))
def handler_executed(world: World, name: str) -> None:
    world.wait_for(name)


@then(parsers.re("the client should be in (?P<status>[a-z]+) state"))
def client_status(world: World, status: str) -> None:
    world.wait_for_status(ProviderStatus(status.upper()))


@then("the flag should be part of the event payload")
def flag_in_payload(world: World) -> None:
    assert world.received["change"][-1].flags_changed == [world.flag[1]]


def details_of(world: World) -> FlagEvaluationDetails[Any]:
    assert world.details is not None
    return world.details


@then(parsers.re('the resolved details value should be "(?P<value>.*)"'))
def resolved_value(world: World, value: str) -> None:
    expected = PARSERS[world.flag[0]](value.replace('\\"', '"'))
    given = details_of(world).value
    assert given == expected
    assert type(given) is type(expected)


@then("the resolved details value should have changed")
def value_changed(world: World) -> None:
    assert details_of(world).value != world.remembered


@then("the resolved object value should contain")
def object_value(world: World, datatable: list[list[str]]) -> None:
    names, *rows = datatable
    for row in rows:
        cell = dict(zip(names, row, strict=True))
        assert details_of(world).value[cell["key"]] == PARSERS[cell["type"]](cell["value"])


@then(parsers.re('the reason should be "(?P<reason>.*)"'))
def reason(world: World, reason: str) -> None:
    assert details_of(world).reason == reason


@then(parsers.re('the variant should be "(?P<variant>.*)"'))
def variant(world: World, variant: str) -> None:
    assert details_of(world).variant == variant


@then(parsers.re('the error-code should be "(?P<code>.*)"'))
def error_code(world: World, code: str) -> None:
    assert (details_of(world).error_code or "") == code


@then("the error message should be empty")
def no_error_message(world: World) -> None:
    assert not details_of(world).error_message


@then("no exception should have been thrown")
def no_exception(world: World) -> None:
    """Do nothing: a step that raises fails its scenario."""


@then(parsers.re("the shutdown should have completed within (?P<limit>[0-9]+)ms"))
def shutdown_in_time(world: World, limit: str) -> None:
    assert world.shutdown_s < int(limit) / 1000


@then("the provider metadata name should not be empty")
def metadata_name(world: World) -> None:
    assert world.client is not None
    assert world.client.provider.get_metadata().name
