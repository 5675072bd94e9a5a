"""Parity of the two clients: the same surface, outcomes and bytes on the wire."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, get_overloads

import pytest

from e2e.client.any_client import AnyClient, Blocking, Looped
from e2e.client.conftest import reach
from e2e.client.target import ARTIFACT, DELIVERY, GEO, ORGANIZATION, Target, artifact
from servers.faulty import HANG, Behaviour, Close, answer, gzip_answer, half, html_answer, json_answer
from support.cases import each_case
from targetry import (
    AsyncTargetClient,
    ChannelType,
    Context,
    DeliveryRequest,
    ExecuteRequest,
    Geo,
    MboxRequest,
    PrefetchRequest,
    RequestDetails,
    TargetClient,
    Trace,
    ViewRequest,
    Visitor,
)

# Scenarios


def execute(*names: str, **more: Any) -> DeliveryRequest:
    mboxes = [MboxRequest(name=name) for name in names]
    return DeliveryRequest(request_id="r1", execute=ExecuteRequest(mboxes=mboxes), **more)


HERO = execute("hero")
PAGE = DeliveryRequest(
    execute=ExecuteRequest(page_load=RequestDetails()),
    prefetch=PrefetchRequest(views=[ViewRequest(name="home")]),
)
FAR = 4_000_000_000
CLICK = {"notifications": [{"id": "n", "timestamp": 1, "type": "click"}]}
IN_ROME = Context(channel=ChannelType.WEB, geo=Geo(ip_address="12.21.1.40"))
OK = json_answer({"status": 200})


@dataclass(frozen=True)
class Call:
    options: dict[str, Any]
    name: str = "get_offers"


@dataclass(frozen=True)
class Scenario:
    """Scenario: options of the client, calls in order, and behavior of the server by path."""

    calls: list[Call]
    options: dict[str, Any] = field(default_factory=dict)
    server: dict[str, list[Behaviour]] = field(default_factory=dict)


def one(
    options: dict[str, Any] | None = None, server: list[Behaviour] | None = None, **call: Any
) -> Scenario:
    return Scenario([Call(call)], options or {}, {} if server is None else {DELIVERY: server})


def device(*calls: Call, server: dict[str, list[Behaviour]] | None = None, **options: Any) -> Scenario:
    given = {
        "decisioning_method": "on-device",
        "artifact_payload": artifact(),
        "polling_interval": 0,
        **options,
    }
    return Scenario(list(calls), given, server or {})


SCENARIOS: dict[str, Scenario] = {
    "offers": one(request=HERO, session_id="s1"),
    "wire form": one(request={"execute": {"mboxes": [{"name": "hero"}]}}),
    "page and views": one(request=PAGE),
    "cookie": one(request=HERO, target_cookie=f"session#s#{FAR}|PC#abc#{FAR}"),
    "garbled cookie": one(request=HERO, target_cookie="\x00|#|%"),
    "visitor cookie": one(request=HERO, visitor_cookie="MCMID|123|MCAAMLH-1|9|MCAAMB-1|blob"),
    "customer ids": one(request=HERO, customer_ids={"crm": "c1"}, visitor_cookie="MCMID|123"),
    "configured": one(
        {"environment_id": 3, "property_token": "p", "version": "2", "telemetry_enabled": False}, request=HERO
    ),
    "several calls": Scenario(
        [
            Call({"request": HERO}),
            Call({"request": CLICK}, "send_notifications"),
            Call({"names": ["hero", "flags"]}, "get_attributes"),
            Call({"names": ["flags"], "request": HERO, "session_id": "s"}, "get_attributes"),
        ]
    ),
    "204": one(server=[answer(204)], request=HERO),
    "206": one(server=[json_answer({"status": 206}, 206)], request=HERO),
    "packed": one(server=[gzip_answer(b'{"status": 200}')], request=HERO),
    "302": one(server=[answer(302, headers={"Location": "/"})], request=HERO),
    "400": one(server=[answer(400, b'{"status": 400, "message": "no"}')], request=HERO),
    "429": one(server=[answer(429, headers={"Retry-After": "1"})], request=HERO),
    "500": one(server=[answer(500)], request=HERO),
    "503 once": one(server=[answer(503, headers={"Retry-After": "0"}), OK], request=HERO),
    "503 each time": one(server=[answer(503, headers={"Retry-After": "0"})], request=HERO),
    "503 for an hour": one(server=[answer(503, headers={"Retry-After": "3600"})], request=HERO),
    "HTML": one(server=[html_answer(200)], request=HERO),
    "empty": one(server=[answer(200)], request=HERO),
    "list": one(server=[answer(200, b"[]")], request=HERO),
    "cut short": one(server=[half(OK, Close())], request=HERO),
    "reset": one(server=[(Close(reset=True),)], request=HERO),
    "silence": one({"timeout": 1000}, [HANG], request=HERO),
    "fails, then works": Scenario(
        [Call({"request": HERO}), Call({"request": HERO})], server={DELIVERY: [answer(400), OK]}
    ),
    "no request": one(request=None),
    "no options": Scenario([Call({})]),
    "empty execute": one(request=DeliveryRequest(execute=ExecuteRequest())),
    "no notifications": Scenario([Call({"request": HERO}, "send_notifications")]),
    "wrong method": one(request=HERO, decisioning_method="edge"),
    "wrong names": Scenario([Call({"names": "hero"}, "get_attributes")]),
    "wrong visitor": one(request=HERO, visitor=3),
    "not ready": Scenario(
        [Call({"request": HERO})],
        {"decisioning_method": "on-device", "artifact_location": "{url}/none"},
        {"/none": [answer(404)]},
    ),
    "on device": device(Call({"request": HERO, "session_id": "s1"}), Call({"request": PAGE})),
    "on device, partly remote": device(Call({"request": execute("hero", "far", "nowhere")})),
    "on device, traced": device(Call({"request": execute("hero", trace=Trace(authorization_token="t"))})),
    "on device, at the edge": device(Call({"request": HERO, "decisioning_method": "server-side"})),
    "on device, by download": device(
        Call({"request": HERO}), artifact_payload=None, artifact_location=f"{{url}}{ARTIFACT}"
    ),
    "attributes on device": device(Call({"names": ["hero"]}, "get_attributes")),
    "place": device(
        Call({"request": execute("roman", context=IN_ROME)}),
        Call({"request": execute("roman", context=IN_ROME)}),
        artifact_payload=artifact(geoTargetingEnabled=True),
        cdn_base_path="{url}",
    ),
    "no place": device(
        Call({"request": execute("roman", context=IN_ROME)}),
        server={GEO: [answer(500)]},
        artifact_payload=artifact(geoTargetingEnabled=True),
        cdn_base_path="{url}",
    ),
    "hybrid here": device(Call({"request": HERO}), decisioning_method="hybrid"),
    "hybrid there": device(Call({"request": execute("far")}), decisioning_method="hybrid"),
    "hybrid, wrong for the wire": device(
        Call({"request": execute("far", context=Context(channel="web", geo=Geo(country_code="ITA")))}),
        decisioning_method="hybrid",
    ),
}

_UUID = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)
_SDID = re.compile(r"[0-9A-F]{16}-[0-9A-F]{16}")
_CHANGING = {
    "timestamp": "time",
    "execution": "time",
    "took": "time",
    "artifactLastRetrieved": "time",
    "current_timestamp": "time",
    "current_time": "time",
    "current_day": "time",
    "allocation": "by chance",
}


def leveled(value: Any, target: Target) -> Any:
    """Without what differs from call to call: ids, times, the server's port."""
    if isinstance(value, dict):
        return {key: _CHANGING.get(key) or leveled(inner, target) for key, inner in value.items()}
    if isinstance(value, list):
        return [leveled(inner, target) for inner in value]
    if not isinstance(value, str):
        return value
    text = _SDID.sub("sdid", _UUID.sub("uuid", value.replace(target.host, "host")))
    return re.sub(r"#\d{10}(?=$|\|)", "#expiry", text)


def outcome(make: Callable[..., AnyClient], scenario: Scenario) -> tuple[list[Any], list[Any]]:
    """Return the results of the calls, and the requests of the server."""
    with Target() as target:
        for path, behaviours in scenario.server.items():
            target.on(path, *behaviours)
        options = {
            name: value.format(url=target.url) if isinstance(value, str) else value
            for name, value in scenario.options.items()
        }
        any_client = make(**{**reach(target), **options})
        results = []
        try:
            for call in scenario.calls:
                results.append(leveled(_done(any_client, call), target))
                assert any_client.flush()
        finally:
            any_client.finish()
        return results, [leveled(_asked(received), target) for received in target.requests]


def _done(any_client: AnyClient, call: Call) -> Any:
    try:
        result = getattr(any_client, call.name)(**call.options)
    except Exception as error:
        described = {"error": type(error).__name__, "path": getattr(error, "path", None)}
        return {**described, "status": getattr(error, "status", None), "text": _leveled_text(error)}
    if call.name == "get_attributes":
        return result.as_object()
    shown = {
        key: value for key, value in result.items() if key not in ("request", "response", "analytics_details")
    }
    return {**shown, **result.get_server_state()}


def _leveled_text(error: Exception) -> str:
    """Return the text of an error without its headers and its remaining time, which differ."""
    text = re.sub(r"HTTP response headers:.*\n", "", str(error))
    return re.sub(r"within [\d.e-]+ s", "within so many s", text)


def _asked(received: Any) -> dict[str, Any]:
    kept = {
        name: value
        for name, value in received.headers.items()
        if name not in ("content-length", "connection")
    }
    body = json.loads(received.body) if received.body else None
    return {"line": f"{received.method} {received.target}", "headers": kept, "body": body}


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_both_clients_do_the_same(scenario: Scenario) -> None:
    blocking, looped = outcome(Blocking, scenario), outcome(Looped, scenario)
    assert len(blocking[0]) == len(scenario.calls)
    assert blocking == looped


def test_table_has_results_and_every_kind_of_error() -> None:
    """So that the comparison above compares something."""
    kinds = set()
    for name in ("offers", "400", "reset", "silence", "not ready", "no request"):
        for result in outcome(Blocking, SCENARIOS[name])[0]:
            kinds.add(result.get("error"))
    assert kinds == {None, "ApiException", "TransportError", "DeadlineError", "NotReadyError", "OptionError"}


def test_visitors_get_the_same_calls() -> None:
    states = []
    for make in (Blocking, Looped):
        visitor = Visitor(ORGANIZATION)
        with Target() as target:
            any_client = make(**reach(target))
            for consumer in ("a", "b", "a"):
                any_client.get_offers(request=HERO, visitor=visitor, consumer_id=consumer)
            any_client.finish()
            states.append(leveled(visitor.get_state(), target))
    assert states[0] == states[1]


# Surface

# Only one of the two has it: name → why.
ONLY_SYNC = {
    "close": "aclose is its twin",
    "__enter__": "__aenter__ is its twin",
    "__exit__": "__aexit__ is its twin",
}
ONLY_ASYNC = {
    "aclose": "close is its twin",
    "__aenter__": "__enter__ is its twin",
    "__aexit__": "__exit__ is its twin",
}
TWINS = {
    "create": "create",
    "get_offers": "get_offers",
    "get_attributes": "get_attributes",
    "visitor": "visitor",
    "flag": "flag",
    "flag_details": "flag_details",
    "all_flags": "all_flags",
    "send_notifications": "send_notifications",
    "refresh_artifact": "refresh_artifact",
    "flush": "flush",
    "close": "aclose",
    "__enter__": "__aenter__",
    "__exit__": "__aexit__",
}
# Neither waits, but their results differ.
OF_EACH_KIND = {"visit"}


def surface(client: type) -> set[str]:
    """Public names, and the protocols that it takes part in."""
    protocols = {"__enter__", "__exit__", "__aenter__", "__aexit__", "__call__", "__iter__", "__del__"}
    return {name for name in dir(client) if not name.startswith("_") or name in protocols}


def test_both_have_the_same_members_except_listed_ones() -> None:
    assert surface(TargetClient) - surface(AsyncTargetClient) == set(ONLY_SYNC)
    assert surface(AsyncTargetClient) - surface(TargetClient) == set(ONLY_ASYNC)


def test_waiting_methods_are_coroutines_and_others_are_shared() -> None:
    for name in surface(TargetClient) - set(TWINS) - OF_EACH_KIND:
        assert inspect.getattr_static(TargetClient, name) is inspect.getattr_static(AsyncTargetClient, name)
    for name, twin in TWINS.items():
        assert not inspect.iscoroutinefunction(getattr(TargetClient, name))
        assert inspect.iscoroutinefunction(getattr(AsyncTargetClient, twin))


@each_case("name, twin", [*TWINS.items(), *((name, name) for name in OF_EACH_KIND)])
def test_sync_and_async_methods_have_the_same_parameters(name: str, twin: str) -> None:
    def parameters(method: Callable[..., Any]) -> list[tuple[str, Any, Any, Any]]:
        found = inspect.signature(method).parameters.values()
        return [(one.name, one.kind, one.default, one.annotation) for one in found]

    def first_form(method: Callable[..., Any]) -> Callable[..., Any]:
        """Return the first overload; the others are about callbacks, or differ in a type alone."""
        return (get_overloads(method) or [method])[0]

    sync_form, async_form = (
        first_form(getattr(TargetClient, name)),
        first_form(getattr(AsyncTargetClient, twin)),
    )
    assert parameters(sync_form) == parameters(async_form)
