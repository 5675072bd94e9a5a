"""Steps of OpenFeature's provider TCK, against `TargetProvider` over a local server."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.flag_evaluation import FlagEvaluationDetails
from openfeature.provider import ProviderStatus
from pytest_bdd import given, parsers, then, when

from e2e.client.conftest import reach
from e2e.client.target import ARTIFACT, Target, artifact_answer
from openfeature import api
from servers.faulty import answer
from support.openfeature_tck import TCK
from targetry.openfeature import TargetProvider

EVENTS = {
    "ready": ProviderEvent.PROVIDER_READY,
    "stale": ProviderEvent.PROVIDER_STALE,
    "error": ProviderEvent.PROVIDER_ERROR,
    "change": ProviderEvent.PROVIDER_CONFIGURATION_CHANGED,
}
EVENT_TIMEOUT_S = 12.0


def pytest_bdd_apply_tag(tag: str, function: Any) -> bool:
    """Skip what the provider does not declare; the other tags select nothing."""
    if tag == "disabled-flags":
        pytest.mark.skip("an artifact has no disabled activities: they are not in it")(function)
    return True


# The server


def rules_of(flags: dict[str, Any]) -> dict[str, Any]:
    """Return an artifact that gives each flag's default variant.

    A flag with targeting gives its targeted variant to the key that it names.
    """
    mboxes: dict[str, list[Any]] = {}
    for number, (name, flag) in enumerate(flags.items(), 1):
        if flag["state"] != "ENABLED":
            continue
        default = flag["defaultVariant"]
        mboxes[name] = [rule_of(number, name, flag, default, True)]
        if "targeting" in flag:
            condition, variant, _ = flag["targeting"]["if"]
            (operands,) = condition.values()
            targeted = {"==": [{"var": "mbox.targetingKey"}, operands[1]]}
            mboxes[name].insert(0, rule_of(1000 + number, name, flag, variant, targeted))
    return {
        "version": "1.0.0",
        "meta": {"clientCode": "acme", "environment": "production"},
        "globalMbox": "target-global-mbox",
        "geoTargetingEnabled": False,
        "responseTokens": [],
        "remoteMboxes": [],
        "localMboxes": list(mboxes),
        "remoteViews": [],
        "localViews": [],
        "rules": {"mboxes": mboxes, "views": {}},
    }


def rule_of(activity: int, name: str, flag: dict[str, Any], variant: str, condition: Any) -> dict[str, Any]:
    content = flag["variants"][variant]
    return {
        "ruleKey": str(activity),
        "activityId": activity,
        "meta": {"activity.id": activity, "experience.id": 0, "experience.name": variant},
        "condition": condition,
        "consequence": {
            "name": name,
            "options": [{"type": "json", "content": content, "eventToken": f"t{activity}"}],
        },
    }


class World:
    """One scenario: the server, the provider, and what was evaluated."""

    def __init__(self, is_async: bool) -> None:
        self.is_async = is_async
        self.flags = json.loads((TCK / "flags" / "canonical-flags.json").read_text())["flags"]
        self.target = Target()
        self.target.on(ARTIFACT, artifact_answer(rules_of(self.flags)))
        self.provider: TargetProvider | None = None
        self.client: OpenFeatureClient | None = None
        self.context: EvaluationContext | None = None
        self.flag: tuple[str, str, Any] = ("", "", None)
        self.details: FlagEvaluationDetails[Any] | None = None
        self.remembered: Any = None
        self.shutdown_s = 0.0
        self.received: dict[str, list[EventDetails]] = {name: [] for name in EVENTS}
        self.counted = dict.fromkeys(EVENTS, 0)
        self.changed = threading.Condition()

    def start(self, cdn: str, wait: bool, ready_timeout: float = 20.0) -> None:
        self.provider = TargetProvider(
            **{**reach(self.target), "cdn_base_path": cdn},
            decisioning_method="on-device",
            polling_interval=1000,
            targeting_key_parameter="targetingKey",
            ready_timeout=ready_timeout,
        )
        self.client = api.get_client("tck")
        (api.set_provider_and_wait if wait else api.set_provider)(self.provider, "tck")

    def listen(self, name: str) -> None:
        assert self.client is not None

        def hear(details: EventDetails) -> None:
            with self.changed:
                self.received[name].append(details)
                self.changed.notify_all()

        self.client.add_handler(EVENTS[name], hear)

    def wait_for(self, name: str) -> EventDetails:
        """Return the next event of a name that was not waited for."""
        count = self.counted[name] = self.counted[name] + 1
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.received[name]) >= count, EVENT_TIMEOUT_S), (
                self.received
            )
        return self.received[name][count - 1]

    def wait_for_status(self, status: ProviderStatus) -> None:
        assert self.client is not None
        deadline = time.monotonic() + EVENT_TIMEOUT_S
        while self.client.get_provider_status() is not status and time.monotonic() < deadline:
            time.sleep(0.01)  # the SDK sets it before it calls handlers, but emits no event
        assert self.client.get_provider_status() is status

    def evaluate(self) -> None:
        assert self.client is not None
        kind, key, default = self.flag
        name = f"get_{kind.lower()}_details"
        if self.is_async:
            self.details = asyncio.run(getattr(self.client, f"{name}_async")(key, default, self.context))
        else:
            self.details = getattr(self.client, name)(key, default, self.context)

    def stop(self) -> None:
        api.clear_providers()
        self.target.stop()


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
    world.start(world.target.url, wait=True)


@given("a unavailable provider")
def unavailable_provider(world: World) -> None:
    world.target.on(ARTIFACT, answer(503))
    world.start(world.target.url, wait=False, ready_timeout=0.3)


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
