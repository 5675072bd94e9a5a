"""Benchmark of one flag: Targetry, other vendors' clients and OpenFeature, by turns in one process.

    scripts/bench flags

Each client evaluates one flag that splits visitors in halves, by rules in this process. The program
prints a table of processor time, the best of many batches, and writes it to benchmarks/RESULTS.md.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any

from report import keep, machine, mark, markdown
from scenarios import activity, artifact
from targetry import Context, DeliveryRequest, ExecuteRequest, MboxRequest, TargetClient, VisitorId

BATCHES, CALLS = 60, 300
VISITOR = "338e3c1e51f7416a8e1ccba4f81acea0"
HALVES = ("a", "b")
OPTIONS: dict[str, Any] = {
    "client": "acme",
    "organization_id": "0123456789ABCDEF01234567@AdobeOrg",
    "decisioning_method": "on-device",
    "artifact_payload": artifact([activity(1, "hero")]),
    "polling_interval": 0,
    "send_notification_func": lambda _: None,
}
Call = Callable[[], object]


def targetry_calls() -> dict[str, Call]:
    """Return the calls of Targetry, and of OpenFeature with Targetry's and its own provider."""
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

    from openfeature import api
    from targetry.openfeature import TargetProvider

    client = TargetClient.create(**OPTIONS)
    visitor = client.visitor(third_party_id=VISITOR)
    request = DeliveryRequest(
        id=VisitorId(third_party_id=VISITOR),
        context=Context(channel="web"),
        execute=ExecuteRequest(mboxes=[MboxRequest(name="hero", index=1)]),
    )
    provider = TargetProvider(client)
    api.set_provider_and_wait(provider, "targetry")
    memory = InMemoryProvider({"hero": InMemoryFlag("a", {"a": "a", "b": "b"})})
    api.set_provider_and_wait(memory, "memory")
    context = EvaluationContext(targeting_key=VISITOR)
    by_targetry, by_memory = api.get_client("targetry"), api.get_client("memory")
    return {
        "Targetry, `client.flag`": lambda: client.flag("hero", "", visitor=visitor),
        "Targetry, `get_offers`": lambda: client.get_offers(request=request, session_id="s"),
        "Targetry's OpenFeature provider alone": lambda: (
            provider.resolve_string_details("hero", "", context).value
        ),
        "OpenFeature with Targetry": lambda: by_targetry.get_string_value("hero", "", context),
        "OpenFeature with its in-memory provider": lambda: by_memory.get_string_value("hero", "", context),
    }


def growthbook() -> Call:
    from growthbook import GrowthBook

    rule = {"key": "hero", "variations": HALVES, "coverage": 1, "weights": [0.5, 0.5], "hashAttribute": "id"}
    client = GrowthBook(attributes={"id": VISITOR}, features={"hero": {"defaultValue": "", "rules": [rule]}})
    return lambda: client.get_feature_value("hero", "")


def launchdarkly() -> Call:
    from ldclient import Config, LDClient
    from ldclient import Context as Visitor
    from ldclient.integrations import Files

    halves = [{"variation": number, "weight": 50_000} for number in (0, 1)]
    flag = {
        "key": "hero",
        "on": True,
        "version": 1,
        "salt": "s",
        "variations": HALVES,
        "offVariation": 0,
        "targets": [],
        "rules": [],
        "prerequisites": [],
        "fallthrough": {"rollout": {"variations": halves}},
    }
    path = Path(tempfile.mkdtemp()) / "flags.json"
    path.write_text(json.dumps({"flags": {"hero": flag}}), "utf-8")
    source = Files.new_data_source(paths=[str(path)])
    client = LDClient(Config("sdk", update_processor_class=source, send_events=False))
    visitor = Visitor.create(VISITOR)
    return lambda: client.variation("hero", visitor, "")


def unleash() -> Call:
    from UnleashClient import UnleashClient
    from UnleashClient.cache import FileCache

    variants = [
        {"name": name, "weight": 500, "stickiness": "userId", "payload": {"type": "string", "value": name}}
        for name in HALVES
    ]
    parameters = {"rollout": "100", "stickiness": "userId", "groupId": "hero"}
    strategy = {"name": "flexibleRollout", "parameters": parameters, "variants": variants}
    feature = {
        "name": "hero",
        "type": "release",
        "project": "default",
        "enabled": True,
        "strategies": [strategy],
    }
    cache = FileCache("bench", directory=tempfile.mkdtemp())
    cache.bootstrap_from_dict({"version": 1, "features": [feature]})
    client = UnleashClient(
        "http://127.0.0.1:9/api",
        "bench",
        disable_metrics=True,
        disable_registration=True,
        cache=cache,
        refresh_interval=100_000,
    )
    client.initialize_client(fetch_toggles=False)
    return lambda: client.get_variant("hero", {"userId": VISITOR})["name"]


def eppo() -> Call:
    import eppo_client
    from eppo_client.assignment_logger import AssignmentLogger
    from eppo_client.config import Config

    splits = [
        {"variationKey": name, "shards": [{"salt": "s", "ranges": [{"start": start, "end": start + 5000}]}]}
        for name, start in zip(HALVES, (0, 5000), strict=True)
    ]
    flag = {
        "key": "hero",
        "enabled": True,
        "variationType": "STRING",
        "variations": {name: {"key": name, "value": name} for name in HALVES},
        "totalShards": 10_000,
        "allocations": [{"key": "all", "rules": [], "doLog": False, "splits": splits}],
    }
    url = serve(
        {
            "createdAt": "2026-01-01T00:00:00Z",
            "format": "SERVER",
            "environment": {"name": "Test"},
            "flags": {"hero": flag},
        }
    )
    config = Config(api_key="key", base_url=url, assignment_logger=AssignmentLogger())
    client = eppo_client.init(config)
    client.wait_for_initialization()
    return lambda: client.get_string_assignment("hero", VISITOR, {}, "")


def statsig() -> Call:
    from statsig_python_core import Statsig, StatsigOptions, StatsigUser

    scope = {"isDeviceBased": False, "idType": "userID"}
    rules = [
        {
            "name": name,
            "groupName": name,
            "id": name,
            "salt": name,
            "passPercentage": share,
            "conditions": ["everyone"],
            "returnValue": {"value": name},
            **scope,
        }
        for name, share in zip(HALVES, (50, 100), strict=True)
    ]
    config = {
        "name": "hero",
        "type": "dynamic_config",
        "entity": "dynamic_config",
        "salt": "s",
        "version": 1,
        "enabled": True,
        "defaultValue": {},
        "rules": rules,
        **scope,
    }
    everyone = {
        "type": "public",
        "targetValue": None,
        "operator": None,
        "field": None,
        "additionalValues": {},
    }
    url = serve(
        {
            "dynamic_configs": {"hero": config},
            "feature_gates": {},
            "layer_configs": {},
            "condition_map": {"everyone": everyone | scope},
            "has_updates": True,
            "time": 1_790_000_000_000,
            "response_format": "dcs-v2",
            "checksum": "1",
            "company_id": "1",
            "app_id": "1",
            "default_environment": None,
            "sdk_configs": {},
            "sdk_flags": {},
            "session_replay_info": None,
            "diagnostics": {},
            "param_stores": {},
            "id_lists": {},
            "experiment_to_layer": {},
        }
    )
    options = StatsigOptions()
    options.specs_url, options.log_event_url = f"{url}/v2/download_config_specs", f"{url}/log"
    options.output_log_level = "none"
    client = Statsig("secret-key", options)
    client.initialize().wait()
    visitor = StatsigUser(VISITOR)
    return lambda: client.get_dynamic_config(visitor, "hero").rule_id


def serve(document: dict[str, Any]) -> str:
    """Serve a document at every path of a server on this machine; return its URL."""
    body = json.dumps(document).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the name that the class looks up

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


# Client → its package, how its call is made, and whether its core is native code.
OTHERS: dict[str, tuple[str, Callable[[], Call], bool]] = {
    "Eppo": ("eppo-server-sdk", eppo, True),
    "Statsig": ("statsig-python-core", statsig, True),
    "GrowthBook": ("growthbook", growthbook, False),
    "LaunchDarkly": ("launchdarkly-server-sdk", launchdarkly, False),
    "Unleash": ("UnleashClient", unleash, False),
}


def main() -> None:
    calls = targetry_calls()
    for name, (package, make, is_native) in OTHERS.items():
        call = make()
        if call() not in HALVES:
            raise SystemExit(f"{name} does not split the flag: it returns {call()!r}")
        calls[f"{name} {version(package)}{', native core' if is_native else ''}"] = call
    costs = measured(calls)
    text = report(costs)
    sys.stdout.write(text)
    keep(text)
    sys.stdout.flush()
    os._exit(0)  # threads of the clients would go on


def measured(calls: dict[str, Call]) -> dict[str, float]:
    """Return the processor time of each call in microseconds, the best of its batches."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(BATCHES):
        for name, call in calls.items():
            began = time.thread_time()
            for _ in range(CALLS):
                call()
            best[name] = min(best[name], (time.thread_time() - began) / CALLS * 1e6)
    return best


def report(costs: dict[str, float]) -> str:
    flag, offers, alone, ours, theirs = list(costs.values())[:5]
    native = min(cost for name, cost in costs.items() if name.endswith("native core"))
    python = min(list(costs.values())[5 + sum(one[2] for one in OTHERS.values()) :])
    goals = [
        ("`client.flag`: at most a fifth of `get_offers`", flag / offers, 0.2),
        ("`client.flag`: faster than every client without a native core", flag / python, 1.0),
        ("`client.flag`: within 3 times the fastest native core", flag / native, 3.0),
        ("provider alone: at most 0.35 of `get_offers`", alone / offers, 0.35),
        ("OpenFeature with Targetry: at most 1.5 times its in-memory provider", ours / theirs, 1.5),
    ]
    table = [["Evaluation", "µs"], *([name, f"{cost:.2f}"] for name, cost in costs.items())]
    checks = [
        ["Goal", "Ratio", ""],
        *([text, f"{ratio:.2f}", mark(ratio <= most)] for text, ratio, most in goals),
    ]
    return f"""# One flag

`scripts/bench flags`: {machine()}.
One evaluation of a flag that splits visitors in halves, by rules in the process; no events are sent.
Processor time of the calling thread, the best of {BATCHES} batches of {CALLS} calls, taken by turns.

{markdown(table)}

{markdown(checks)}
"""


if __name__ == "__main__":
    main()
