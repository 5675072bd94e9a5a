"""Calls for `instructions.py`, run under callgrind with the tree in PYTHONPATH.

The program prints JSON: scenario → [[process id, calls], [process id, calls]]. Each number of calls
runs in a forked process with a new client, so the difference of two counts is that of the calls.
Only public names of Targetry are used, and for the edge's `deliver` the names of each layout, so
that earlier commits can be measured too.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import importlib.util
import inspect
import itertools
import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from scenarios import activity, artifact
from targetry import (
    Context,
    DeliveryRequest,
    ExecuteRequest,
    MboxRequest,
    PrefetchRequest,
    TargetClient,
    VisitorId,
    samples,
)
from targetry.testing import FakeTransport, answer

CALLS = (100, 400)
AGENT = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Safari/537.36"
OPTIONS = {"client": "acme", "organization_id": "0123456789ABCDEF01234567@AdobeOrg"}
ON_DEVICE = {
    **OPTIONS,
    "decisioning_method": "on-device",
    "artifact_payload": samples.shop(),
    "polling_interval": 0,
}
MBOXES = [MboxRequest(name="hero", index=1)]
EXECUTE = DeliveryRequest(
    context=Context(channel="web", user_agent=AGENT), execute=ExecuteRequest(mboxes=MBOXES)
)
PREFETCH = DeliveryRequest(
    context=Context(channel="web", user_agent=AGENT), prefetch=PrefetchRequest(mboxes=MBOXES)
)
RESPONSE = {
    "status": 200,
    "requestId": "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
    "client": "acme",
    "id": {"tntId": "8f9b2c.35_0"},
    "edgeHost": "mboxedge35.tt.omtrdc.net",
    "execute": {"mboxes": [{"index": 1, "name": "hero", "options": [{"type": "json", "content": {"title": "first"}}]}]},
}  # fmt: skip
EDGE_BODY = {
    "context": {"channel": "web", "userAgent": AGENT},
    "execute": {"mboxes": [{"index": 1, "name": "hero"}]},
}
# Modules of `deliver` and the registry in each layout, newest first.
DELIVER_MODULES = ("targetry.edge.delivery.handler", "targetry.edge.delivery")
ARTIFACT_MODULES = ("targetry.edge.artifacts.registry", "targetry.edge.shelf")


class Measured(NamedTuple):
    """A call, and `finish` for the work that it leaves to a thread, so that counts include it."""

    call: Callable[[int], object]
    finish: Callable[[], object] = tuple


class UnresponsiveTransport:
    """A transport whose requests never end, so that notifications stay in the queue."""

    def send(self, *_: object, **__: object) -> Any:
        threading.Event().wait()

    def close(self) -> None:
        """Do nothing."""


def execute() -> Measured:
    return calls(EXECUTE, **ON_DEVICE, send_notification_func=lambda _: None)


def prefetch() -> Measured:
    return calls(PREFETCH, **ON_DEVICE, send_notification_func=lambda _: None)


def execute_with_queue() -> Measured:
    return Measured(calls(EXECUTE, **ON_DEVICE, transport=UnresponsiveTransport()).call)


def execute_with_telemetry() -> Measured:
    """Return a call with the OpenTelemetry hook and without an SDK of OpenTelemetry."""
    hook = importlib.import_module("targetry.otel").OpenTelemetryHook()
    return calls(EXECUTE, **ON_DEVICE, send_notification_func=lambda _: None, hooks=[hook])


def server_side() -> Measured:
    response = answer(RESPONSE)
    return calls(EXECUTE, **OPTIONS, transport=FakeTransport(by=lambda _: response))


def calls(request: DeliveryRequest, **options: Any) -> Measured:
    """Return a call of `get_offers` of a new client."""
    client = TargetClient.create(**options)
    return Measured(
        lambda number: client.get_offers(request=request, target_cookie=None, session_id=f"s{number}"),
        lambda: client.flush(60),
    )


def ab_offers() -> Measured:
    return Measured(calls(decided_request(), **decided_options()).call)


def rule_offers() -> Measured:
    return Measured(calls(decided_request({"plan": "gold"}), **decided_options(GOLD)).call)


def decide() -> Measured:
    client, visitor = prepared()
    return Measured(lambda _: client.decide("hero", visitor, shown=False))


def decide_reported() -> Measured:
    client, visitor = prepared()
    return Measured(lambda _: client.decide("hero", visitor))


def decide_rule() -> Measured:
    client, visitor = prepared(GOLD, {"plan": "gold"})
    return Measured(lambda _: client.decide("hero", visitor, shown=False))


def visitor_and_decide() -> Measured:
    client, _ = prepared()
    context = EXECUTE.context
    given = [(tnt_id(number), f"s{number}") for number in range(max(CALLS))]

    def call(number: int) -> object:
        tnt, session = given[number]
        return client.decide(
            "hero", client.visitor(tnt_id=tnt, session_id=session, context=context), shown=False
        )

    return Measured(call)


def flag() -> Measured:
    client, visitor = prepared()
    return Measured(lambda _: client.flag("hero", "", visitor=visitor))


def openfeature() -> Measured:
    api, context = openfeature_api()
    api.set_provider_and_wait(targetry_provider(), "targetry")
    client = api.get_client("targetry")
    return Measured(lambda _: client.get_string_value("hero", "", context))


def openfeature_memory() -> Measured:
    api, context = openfeature_api()
    memory = importlib.import_module("openfeature.provider.in_memory_provider")
    flag = memory.InMemoryFlag("a", {"a": "a", "b": "b"})
    api.set_provider_and_wait(memory.InMemoryProvider({"hero": flag}), "memory")
    client = api.get_client("memory")
    return Measured(lambda _: client.get_string_value("hero", "", context))


def openfeature_provider() -> Measured:
    _, context = openfeature_api()
    provider = targetry_provider()
    return Measured(lambda _: provider.resolve_string_details("hero", "", context))


def openfeature_api() -> tuple[Any, Any]:
    """Return the API of OpenFeature, and an evaluation context with a targeting key."""
    contexts = importlib.import_module("openfeature.evaluation_context")
    return importlib.import_module("openfeature.api"), contexts.EvaluationContext(targeting_key=tnt_id(0))


def targetry_provider() -> Any:
    provider = importlib.import_module("targetry.openfeature").TargetProvider
    made = provider(TargetClient.create(**decided_options()))
    made.initialize(openfeature_api()[1])
    return made


GOLD = {"==": ["gold", {"var": "mbox.plan"}]}


def decided_options(audience: Any = True) -> dict[str, Any]:
    """Return options of a client with one A/B test, whose reports stay in the queue."""
    rules = artifact([activity(1, "hero", audience)])
    return {**ON_DEVICE, "artifact_payload": rules, "transport": UnresponsiveTransport()}


def decided_request(parameters: dict[str, Any] | None = None) -> DeliveryRequest:
    mbox = MboxRequest(name="hero", index=1, parameters=parameters)
    return DeliveryRequest(
        id=VisitorId(tnt_id=tnt_id(0)), context=EXECUTE.context, execute=ExecuteRequest(mboxes=[mbox])
    )


def prepared(audience: Any = True, parameters: dict[str, Any] | None = None) -> tuple[TargetClient, Any]:
    client = TargetClient.create(**decided_options(audience))
    return client, made_visitor(client, 0, parameters)


def made_visitor(client: TargetClient, number: int, parameters: dict[str, Any] | None = None) -> Any:
    return client.visitor(
        tnt_id=tnt_id(number), session_id=f"s{number}", context=EXECUTE.context, parameters=parameters
    )


def tnt_id(number: int) -> str:
    return f"338e3c1e51f7416a8e1ccba4{number:08x}.28_0"


def edge_deliver() -> Measured:
    """Return a call of the edge's delivery without HTTP: parses, decides and encodes."""
    deliver = delivery_of(first_module(DELIVER_MODULES), registry(first_module(ARTIFACT_MODULES)))
    ids = (f"{number:032x}" for number in itertools.count())
    asked = [
        json.dumps({**EDGE_BODY, "id": {"tntId": f"{number:08x}"}}).encode() for number in range(max(CALLS))
    ]
    queries = [f"imsOrgId=X%40AdobeOrg&sessionId=s{number}" for number in range(max(CALLS))]
    options = {"now_ms": 1_795_800_000_000, "new_id": lambda: next(ids), "is_recorded": False}

    def call(number: int) -> object:
        result = deliver(asked[number], queries[number], **options)
        assert result.status == 200
        return result

    return Measured(call)


def delivery_of(module: Any, rules: Any) -> Callable[..., Any]:
    """Return a function from body, query and options to the result, in any tree."""
    if not hasattr(module, "deliver"):
        return lambda body, query, **options: module.respond(
            module.parse_request(body, query, rules), **options
        )
    keyword = next(
        name
        for name, one in inspect.signature(module.deliver).parameters.items()
        if one.kind is one.KEYWORD_ONLY
    )
    return lambda body, query, **options: module.deliver(body, query, **{keyword: rules}, **options)


def edge_flag() -> Measured:
    """Return the evaluation of one flag by OFREP, from the body to the response."""
    app = importlib.import_module("targetry.edge.app")
    in_process = importlib.import_module("targetry.edge.in_process")
    endpoint = importlib.import_module("targetry.edge.ofrep.endpoint")
    target = importlib.import_module("targetry.edge.ofrep.paths").parse_ofrep_path(
        "/ofrep/v1/evaluate/flags/hero"
    )
    address = importlib.import_module("targetry.edge.delivery.geo").ClientAddress()
    ofrep = app.Edge(in_process.GivenArtifact(samples.shop_path(), None)).ofrep
    evaluate = getattr(ofrep, "evaluate", None) or (lambda received: ofrep.prepare(received).decide())
    asked = [
        json.dumps({"context": {"targetingKey": f"{number:08x}", "userAgent": AGENT}}).encode()
        for number in range(max(CALLS))
    ]

    def call(number: int) -> object:
        outcome = evaluate(endpoint.ReceivedRequest(target, asked[number], "", address))
        assert outcome.response.status == 200
        return outcome

    return Measured(call)


def edge_application() -> Measured:
    """Return a delivery request to the edge's ASGI application, with the turns of an event loop.

    The log is written, the socket and the server's HTTP are not counted.
    """
    app = importlib.import_module("targetry.edge.app")
    in_process = importlib.import_module("targetry.edge.in_process")
    log_format = importlib.import_module("targetry.edge.observability.log_format")
    log_format.start_logging("human")
    for handler in logging.getLogger("targetry.edge").handlers:
        handler.setStream(open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    application = app.EdgeApplication(app.Edge(in_process.GivenArtifact(samples.shop_path(), None)))
    loop = asyncio.new_event_loop()
    statuses: list[int] = []
    asked = [
        json.dumps({**EDGE_BODY, "id": {"tntId": f"{number:08x}"}}).encode() for number in range(max(CALLS))
    ]

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    def call(number: int) -> None:
        body = asked[number]

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": "/rest/v1/delivery",
            "raw_path": b"/rest/v1/delivery",
            "query_string": b"imsOrgId=X%%40AdobeOrg&sessionId=s%d" % number,
            "server": ("127.0.0.1", 8080),
            "client": ("127.0.0.1", 50_000),
            "headers": [
                (b"host", b"127.0.0.1:8080"),
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
            ],
        }
        loop.run_until_complete(application(scope, receive, send))
        assert statuses[number] == 200

    return Measured(call)


def first_module(names: tuple[str, ...]) -> Any:
    for name in names:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    raise ModuleNotFoundError(f"none of {', '.join(names)} exists in this tree; add its layout")


def registry(module: Any) -> Any:
    """Return the edge's registry with the sample artifact, for the layout of this tree."""
    artifact = getattr(module, "LoadedArtifact", None) or module.Served
    holder = getattr(module, "ArtifactRegistry", None) or module.Shelf
    return holder([artifact("shop", samples.shop_path().read_bytes())])


SCENARIOS: dict[str, Callable[[], Measured]] = {
    "get_offers on device, execute": execute,
    "get_offers on device, execute, with the OpenTelemetry hook": execute_with_telemetry,
    "get_offers on device, prefetch": prefetch,
    "get_offers on device, execute, with notification queue": execute_with_queue,
    "get_offers on device, A/B test": ab_offers,
    "get_offers on device, parameter rule": rule_offers,
    "decide, A/B test": decide,
    "decide, A/B test, reported": decide_reported,
    "decide, parameter rule": decide_rule,
    "visitor and decide, A/B test": visitor_and_decide,
    "flag, A/B test, impression window": flag,
    "OpenFeature, Targetry's provider": openfeature,
    "OpenFeature, its in-memory provider": openfeature_memory,
    "Targetry's OpenFeature provider alone": openfeature_provider,
    "get_offers server-side, without a network": server_side,
    "the edge's deliver": edge_deliver,
    "the edge's OFREP, one flag": edge_flag,
    "the edge's application, a delivery request": edge_application,
}


def main() -> None:
    names = [name for name in sys.argv[1:] or SCENARIOS if is_available(name)]
    for scenario in (edge_deliver, edge_flag, edge_application):
        if any(SCENARIOS[name] is scenario for name in names):
            scenario()  # its imports are made before the forks
    print(json.dumps({name: list(forked(SCENARIOS[name])) for name in names}))


def is_available(name: str) -> bool:
    """Return whether the tree has the calls of a scenario."""
    if name.startswith("flag"):
        return hasattr(TargetClient, "flag")
    if "OpenFeature" in name:
        return importlib.util.find_spec("openfeature") is not None
    return hasattr(TargetClient, "decide") or not name.startswith(("decide", "visitor"))


def forked(scenario: Callable[[], Measured]) -> Iterator[tuple[int, int]]:
    """Yield the processes of the calls, after an uncounted one that compiles the modules."""
    for times in (1, *CALLS):
        process = os.fork()
        if process == 0:
            run(scenario, times)
        _, status = os.waitpid(process, 0)
        if status:
            raise SystemExit(f"the process of {scenario.__name__} ended with status {status}")
        if times > 1:
            yield process, times


def run(scenario: Callable[[], Measured], times: int) -> None:
    """Make the calls, and end this process without exit hooks."""
    status = 1
    try:
        call, finish = scenario()
        gc.disable()
        for number in range(times):
            call(number)
        finish()
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
