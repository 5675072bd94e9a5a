"""Effect of each option (B9): a test fails if it is ignored, another if it has no test."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from e2e.client.any_client import Blocking, Looped
from e2e.client.conftest import reach
from e2e.client.target import (
    ARTIFACT,
    DELIVERY,
    GEO,
    ORGANIZATION,
    PLACE,
    Target,
    artifact,
    artifact_answer,
    query_of,
)
from servers.certificates import Authority
from servers.faulty import HANG, Pause, Received, Steps, answer, json_answer
from support.mmdb_writer import mmdb
from targetry import (
    ApiException,
    ChannelType,
    Context,
    DeliveryRequest,
    ExecuteRequest,
    Geo,
    MboxRequest,
    NotReadyError,
    PrefetchRequest,
)
from targetry._client.call_options import CALL_OPTIONS
from targetry._client.options import CLIENT_OPTIONS
from targetry.hooks import CallEnded, Hook
from targetry.testing import AsyncFakeTransport, FakeTransport
from targetry.testing import answer as fake_answer

HERO = DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="hero")]))
LOOK = DeliveryRequest(prefetch=PrefetchRequest(mboxes=[MboxRequest(name="hero")]))
ROMAN = DeliveryRequest(
    context=Context(channel=ChannelType.WEB, geo=Geo(ip_address="12.21.1.40")),
    prefetch=PrefetchRequest(mboxes=[MboxRequest(name="roman")]),
)
FAR = 4_000_000_000
RULES: dict[str, Any] = {
    "decisioning_method": "on-device",
    "artifact_payload": artifact(),
    "polling_interval": 0,
}
LOCATED: dict[str, Any] = {**RULES, "artifact_payload": artifact(geoTargetingEnabled=True)}


@dataclass
class World:
    """Environment of an observation; `options` of the client are with or without the tested one."""

    target: Target
    folder: Path
    options: dict[str, Any]

    @contextlib.contextmanager
    def client(self, make: Callable[..., Any] = Blocking, **more: Any) -> Iterator[Any]:
        any_client = make(**{**reach(self.target), **more, **self.options})
        try:
            yield any_client
        finally:
            any_client.finish()

    @property
    def on_device(self) -> dict[str, Any]:
        return {"decisioning_method": "on-device", "cdn_base_path": self.target.url}

    @property
    def proxied(self) -> dict[str, Any]:
        """Options with the target as proxy, which receives the whole URL."""
        return {"proxy": self.target.url, "server_domain": None}


Observe = Callable[[World], Any]


@dataclass(frozen=True)
class Acts:
    """Expected effect of an option.

    `given` is its value or a function of the world; `otherwise` replaces it for required options.
    """

    observe: Observe
    given: Any
    expected: Any
    otherwise: Any = field(default=None)


# Observations


def line(world: World, **more: Any) -> str:
    """Return the first request line that a proxy receives from a call or a start."""
    world.target.script(answer(404))
    with world.client(**{**world.proxied, **more}) as any_client:
        with contextlib.suppress(ApiException, NotReadyError):
            any_client.get_offers(request=LOOK)
        world.target.wait_until(lambda: bool(world.target.requests))
    received = world.target.requests[0]
    return f"{received.method} {received.target.partition('?')[0]}"


def artifact_line(world: World) -> str:
    return line(world, decisioning_method="on-device", maximum_wait_ready=1)


def requested_path(world: World) -> str:
    world.target.script(answer(404))
    with world.client(**world.on_device):
        return world.target.requests[0].target


def body(world: World) -> dict[str, Any]:
    with world.client() as any_client:
        any_client.get_offers(request=HERO)
    return world.target.bodies[0]


def query(world: World) -> dict[str, str]:
    with world.client() as any_client:
        any_client.get_offers(request=HERO, session_id="s")
    return query_of(world.target.requests[0])


def method_used(world: World) -> str:
    with world.client(artifact_payload=artifact(), polling_interval=0) as any_client:
        return str(any_client.get_offers(request=LOOK)["meta"]["decisioning_method"])


def title(world: World) -> str:
    with world.client(**world.on_device, polling_interval=0) as any_client:
        return str(
            any_client.get_offers(request=LOOK)["response"].prefetch.mboxes[0].options[0].content["title"]
        )


def is_within_the_timeout(world: World) -> bool:
    world.target.on(DELIVERY, (Pause(0.25), *json_answer({"status": 200})))
    with world.client(timeout=None) as any_client:
        try:
            any_client.get_offers(request=HERO)
        except TimeoutError:
            return False
        return True


def second_call_has_telemetry(world: World) -> bool:
    with world.client() as any_client:
        any_client.get_offers(request=HERO)
        any_client.get_offers(request=HERO)
    return "telemetry" in world.target.bodies[1]


class Logger:
    def __init__(self) -> None:
        self.debugs: list[str] = []
        self.errors: list[str] = []

    def debug(self, message: str) -> None:
        self.debugs.append(message)

    def error(self, message: str) -> None:
        self.errors.append(message)


LOGGER = Logger()


def logged(world: World) -> tuple[bool, bool]:
    LOGGER.debugs.clear()
    LOGGER.errors.clear()
    with world.client(**RULES) as any_client:
        any_client.get_offers(request=HERO, decisioning_method="server-side")
        world.target.on(DELIVERY, answer(400))
        any_client.get_offers(request=HERO)
        any_client.flush()
    return any("Request sent" in text for text in LOGGER.debugs), any(
        "dropped" in text for text in LOGGER.errors
    )


READY = threading.Event()


def is_ready_emitted(world: World) -> bool:
    READY.clear()
    with world.client():
        return READY.wait(30 if world.options else 0.2)


class RecordingHook(Hook):
    def __init__(self) -> None:
        self.kinds: list[str] = []

    def after_decision(self, call: CallEnded) -> None:
        self.kinds.append(call.kind)


HOOK = RecordingHook()


def observed_calls(world: World) -> list[str]:
    HOOK.kinds.clear()
    with world.client() as any_client:
        any_client.get_offers(request=HERO)
    return HOOK.kinds


def polls(world: World) -> bool:
    polled = threading.Event()
    give = artifact_answer(artifact())

    def count(received: Received) -> Steps:
        # The first poll comes at a random moment of the interval, so it may come at once.
        if world.target.requests_to(ARTIFACT)[2:]:
            polled.set()
        return give(received)

    world.target.on(ARTIFACT, count)
    with world.client(**world.on_device):
        return polled.wait(30 if world.options else 1.3)


def ready_at_once(world: World) -> bool:
    document = answer(200, json.dumps(artifact()).encode())
    world.target.on(ARTIFACT, (Pause(0.3), *document))
    with world.client(**world.on_device) as any_client:
        return bool(any_client.client.decisioning_engine.is_ready())


def files_kept(world: World) -> list[str]:
    with world.client(**world.on_device):
        pass
    return sorted({path.suffix for path in world.folder.rglob("*") if path.is_file()})


def artifact_failures(world: World) -> dict[str, int]:
    with world.client(**world.on_device) as any_client:
        return dict(any_client.client.stats().artifact.failures)


def roman(world: World) -> tuple[bool, int]:
    with world.client(**{**LOCATED, "cdn_base_path": world.target.url}) as any_client:
        found = bool(any_client.get_offers(request=ROMAN)["response"].prefetch.mboxes[0].options)
    return found, len(world.target.requests_to(GEO))


def roman_when_it_takes_long(world: World) -> bool:
    world.target.on(GEO, (Pause(0.2), *json_answer(PLACE)))
    return roman(world)[0]


SYNC_FAKE = FakeTransport(by=lambda _: fake_answer({"status": 299}))
ASYNC_FAKE = AsyncFakeTransport(by=lambda _: fake_answer({"status": 299}))


def status(world: World) -> int:
    with world.client() as any_client:
        return int(any_client.get_offers(request=HERO)["response"].status)


def status_awaited(world: World) -> int:
    with world.client(Looped) as any_client:
        return int(any_client.get_offers(request=HERO)["response"].status)


def through_a_proxy(world: World) -> bool:
    with world.client() as any_client:
        any_client.get_offers(request=HERO)
    return world.target.requests[0].target.startswith("http://")


def trusts(world: World) -> bool:
    authority = Authority(world.folder)
    world.options = dict.fromkeys(world.options, authority.bundle)
    with Target(tls=authority.server("localhost")) as secure:
        where: dict[str, Any] = {"secure": True, "server_domain": f"localhost:{secure.port}", "timeout": 5000}
        with world.client(**where) as any_client:
            try:
                any_client.get_offers(request=HERO)
            except ApiException:
                return False
            return True


def uses_the_environment(world: World) -> bool:
    before = dict(os.environ)
    os.environ.update(http_proxy=world.target.url, no_proxy="", NO_PROXY="")
    try:
        with Target() as other:
            host = f"0.0.0.0:{other.port}"  # leads to the machine, and is no loopback address
            with world.client(trust_env=True, server_domain=host) as any_client:
                any_client.get_offers(request=HERO)
    finally:
        os.environ.clear()
        os.environ.update(before)
    return bool(world.target.requests)


def connections_of_two_calls(world: World) -> int:
    world.target.on(DELIVERY, (Pause(0.1), *json_answer({"status": 200})))
    with world.client() as any_client:
        calls = [any_client.client.get_offers(request=HERO, callback=lambda _: None) for _ in range(2)]
        for call in calls:
            call.get(10)
    return world.target.connections


def dropped(world: World) -> dict[str, int]:
    world.target.on(DELIVERY, HANG)
    with world.client(**RULES) as any_client:
        for _ in range(5):
            any_client.get_offers(request=HERO)
        found = dict(any_client.client.stats().notifications.dropped)
        any_client.close(0.01)
    return found


def pending_after_close(world: World) -> int:
    world.target.on(DELIVERY, answer(503, headers={"Retry-After": "600"}))
    with world.client(**RULES) as any_client:
        any_client.get_offers(request=HERO)
        any_client.flush(0.1)
        any_client.close(0.1)
        return int(any_client.client.stats().notifications.pending)


REPORTS: list[Any] = []


def reported_to(world: World) -> tuple[int, int]:
    REPORTS.clear()
    with world.client(**RULES) as any_client:
        any_client.get_offers(request=HERO)
        any_client.flush()
    return len(REPORTS), len(world.target.notifications)


def database(world: World) -> Path:
    record = {"city": {"names": {"en": "Rome"}}, "country": {"iso_code": "IT"}}
    file = world.folder / "city.mmdb"
    file.write_bytes(mmdb({"12.21.0.0/16": record}))
    return file


CLIENT_ACTS: dict[str, Acts] = {
    "client": Acts(line, "other", "POST http://other.tt.omtrdc.net/rest/v1/delivery", otherwise="acme"),
    "organization_id": Acts(
        lambda world: query(world)["imsOrgId"], "B@AdobeOrg", "B@AdobeOrg", otherwise="A@AdobeOrg"
    ),
    "decisioning_method": Acts(method_used, "on-device", "on-device"),
    "timeout": Acts(is_within_the_timeout, 50, False),
    "server_domain": Acts(
        lambda world: line(world, server_domain="acme.tt.omtrdc.net"),
        "own.example:81",
        "POST http://own.example:81/rest/v1/delivery",
    ),
    "secure": Acts(
        lambda world: line(world, secure=True), False, "POST http://acme.tt.omtrdc.net/rest/v1/delivery"
    ),
    "target_location_hint": Acts(line, "28", "POST http://mboxedge28.tt.omtrdc.net/rest/v1/delivery"),
    "environment_id": Acts(lambda world: body(world).get("environmentId"), 7, 7),
    "property_token": Acts(lambda world: body(world).get("property"), "p", {"token": "p"}),
    "version": Acts(lambda world: query(world).get("version"), "2.11", "2.11"),
    "telemetry_enabled": Acts(second_call_has_telemetry, False, False),
    "logger": Acts(logged, LOGGER, (True, True)),
    "events": Acts(is_ready_emitted, {"client_ready": READY.set}, True),
    "hooks": Acts(observed_calls, [HOOK], ["get_offers"]),
    "polling_interval": Acts(polls, 1000, True),
    "maximum_wait_ready": Acts(ready_at_once, 20, False),
    "artifact_location": Acts(requested_path, lambda world: f"{world.target.url}/mine.json", "/mine.json"),
    "artifact_payload": Acts(title, artifact("brought"), "brought"),
    "artifact_format": Acts(requested_path, "bin", "/acme/production/v1/rules.bin"),
    "artifact_cache_dir": Acts(files_kept, lambda world: world.folder / "cache", [".artifact"]),
    "artifact_max_bytes": Acts(artifact_failures, 100, {"too_large": 1}),
    "environment": Acts(requested_path, "staging", "/acme/staging/v1/rules.json"),
    "cdn_environment": Acts(artifact_line, "staging", "CONNECT assets.staging.adobetarget.com:443"),
    "cdn_base_path": Acts(
        artifact_line, "http://own.example/cdn", "GET http://own.example/cdn/acme/production/v1/rules.json"
    ),
    "geo_database": Acts(roman, database, (True, 0)),
    "geo_timeout": Acts(roman_when_it_takes_long, 20, False),
    "transport": Acts(status, SYNC_FAKE, 299),
    "async_transport": Acts(status_awaited, ASYNC_FAKE, 299),
    "proxy": Acts(through_a_proxy, lambda world: world.target.url, True),
    "ca_bundle": Acts(trusts, None, True),
    "trust_env": Acts(uses_the_environment, False, False),
    "max_connections": Acts(connections_of_two_calls, 1, 1),
    "notification_queue_limit": Acts(dropped, 2, {"queue_full": 3}),
    "notification_spool": Acts(pending_after_close, lambda world: world.folder / "spool", 1),
    "send_notification_func": Acts(reported_to, REPORTS.append, (1, 0)),
}


@pytest.fixture
def target() -> Iterator[Target]:
    with Target() as target:
        yield target


def world_of(target: Target, folder: Path, name: str, given: Any) -> World:
    world = World(target, folder, {})
    if given is not None or name == "ca_bundle":
        is_function_of_world = callable(given) and getattr(given, "__module__", None) == __name__
        world.options = {name: given(world) if is_function_of_world else given}
    return world


@pytest.mark.parametrize(("name", "acts"), CLIENT_ACTS.items(), ids=CLIENT_ACTS)
def test_client_option_has_its_effect(name: str, acts: Acts, target: Target, tmp_path: Path) -> None:
    assert acts.observe(world_of(target, tmp_path, name, acts.given)) == acts.expected


@pytest.mark.parametrize(("name", "acts"), CLIENT_ACTS.items(), ids=CLIENT_ACTS)
def test_effect_is_absent_without_the_client_option(
    name: str, acts: Acts, target: Target, tmp_path: Path
) -> None:
    world = World(target, tmp_path, {} if acts.otherwise is None else {name: acts.otherwise})
    assert acts.observe(world) != acts.expected


def test_all_client_options_are_in_the_table() -> None:
    assert set(CLIENT_ACTS) == set(CLIENT_OPTIONS)


# Options of a call


class OwnVisitor:
    def get_visitor_values(self) -> dict[str, str]:
        return {"MCMID": "123"}

    def get_state(self) -> dict[str, Any]:
        return {}

    def get_supplemental_data_id(self, consumer_id: str) -> str:
        return "0123456789ABCDEF-0123456789ABCDEF"


def call(world: World, **more: Any) -> Any:
    """Call with `world.options`, which are options of the call here."""
    any_client = Blocking(**{**reach(world.target), **more})
    try:
        given = {"request": HERO, **world.options}
        return any_client.client.get_offers(
            {name: value for name, value in given.items() if value is not None}
        )
    finally:
        any_client.finish()


def sent(world: World) -> dict[str, Any]:
    call(world)
    return world.target.bodies[0]


def sent_session(world: World) -> str:
    call(world)
    return query_of(world.target.requests[0])["sessionId"]


def consumers(world: World) -> Any:
    world.options["visitor_cookie"] = "MCMID|456"
    return list(call(world)["visitor_state"][ORGANIZATION]["sdid"]["supplementalDataIDCurrentConsumed"])


def known_customers(world: World) -> Any:
    state = call(world)["visitor_state"]
    return state and state[ORGANIZATION].get("customerIDs")


CALLED: list[Any] = []


def called(world: World) -> list[str]:
    CALLED.clear()
    any_client = Blocking(**reach(world.target))
    pending = any_client.client.get_offers({"request": HERO, **world.options})
    if world.options:
        pending.wait(10)
    any_client.finish()
    return [type(one).__name__ for one in CALLED]


def err_called(world: World) -> list[str]:
    CALLED.clear()
    world.target.on(DELIVERY, answer(400))
    any_client = Blocking(**reach(world.target))
    any_client.client.get_offers({"request": HERO, "callback": print, **world.options}).wait(10)
    any_client.finish()
    return [type(one).__name__ for one in CALLED]


CALL_ACTS: dict[str, Acts] = {
    "request": Acts(
        lambda world: sorted(sent(world).get("execute", {})),
        DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="flags")])),
        ["mboxes"],
        otherwise=DeliveryRequest(),
    ),
    "decisioning_method": Acts(
        lambda world: call(world, **RULES)["meta"]["decisioning_method"], "server-side", "server-side"
    ),
    "session_id": Acts(sent_session, "mine", "mine"),
    "target_cookie": Acts(lambda world: sent(world).get("id"), f"PC#abc#{FAR}", {"tntId": "abc"}),
    "target_location_hint": Acts(
        lambda world: call(world, **world.proxied) and world.target.requests[0].target.partition("/rest")[0],
        "28",
        "http://mboxedge28.tt.omtrdc.net",
    ),
    "consumer_id": Acts(consumers, "mine", ["payload:mine"]),
    "customer_ids": Acts(known_customers, {"crm": "c1"}, {"crm": {"id": "c1", "authState": 0}}),
    "visitor": Acts(lambda world: sent(world).get("id"), OwnVisitor(), {"marketingCloudVisitorId": "123"}),
    "visitor_cookie": Acts(
        lambda world: sent(world).get("id"), "MCMID|456", {"marketingCloudVisitorId": "456"}
    ),
    "callback": Acts(called, CALLED.append, ["TargetDeliveryResponse"]),
    "err_callback": Acts(err_called, CALLED.append, ["ApiException"]),
}


@pytest.mark.parametrize(("name", "acts"), CALL_ACTS.items(), ids=CALL_ACTS)
def test_call_option_has_its_effect(name: str, acts: Acts, target: Target, tmp_path: Path) -> None:
    assert acts.observe(World(target, tmp_path, {name: acts.given})) == acts.expected


@pytest.mark.parametrize(("name", "acts"), CALL_ACTS.items(), ids=CALL_ACTS)
def test_effect_is_absent_without_the_call_option(
    name: str, acts: Acts, target: Target, tmp_path: Path
) -> None:
    world = World(target, tmp_path, {} if acts.otherwise is None else {name: acts.otherwise})
    assert acts.observe(world) != acts.expected


def test_all_call_options_are_in_the_table() -> None:
    assert set(CALL_ACTS) == set(CALL_OPTIONS)
