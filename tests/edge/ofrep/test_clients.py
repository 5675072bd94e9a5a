"""OpenFeature's OFREP clients, for Python, Node and web pages, at an edge on a port."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext

from openfeature import api
from support.device import rule
from support.edge_sockets import open_edge
from support.ofrep import flags
from targetry.edge.in_process import GivenArtifact, edge
from targetry.edge.ofrep.settings import ofrep_settings

CHECKOUT = Path(__file__).parents[3]
MODULES = Path(os.environ.get("TARGETRY_NODE_MODULES", CHECKOUT / ".envs" / "node" / "node_modules"))
PROGRAM = Path(__file__).with_name("clients.cjs")
TOKEN = "secret"

DEFAULTS: dict[str, Any] = {
    "static:on": False,
    "static:steps": 0,
    "static:rate": 0.5,
    "static:name": "default",
    "static:nested": {},
    "home/hero": "default",
    "a b#c": {},
    "split": "default",
    "rest": "default",
    "gold": "default",
    "nope": "default",
}
EXPECTED: dict[str, tuple[Any, str]] = {
    "static:on": (True, "STATIC"),
    "static:steps": (3, "STATIC"),
    "static:rate": (10, "STATIC"),
    "static:name": ("x", "STATIC"),
    "static:nested": ({"deep": [1, 2]}, "STATIC"),
    "home/hero": ("slash", "STATIC"),
    "a b#c": ([1, 2.5, "x"], "STATIC"),
    "split": ("split", "SPLIT"),
    "rest": ("rest", "DEFAULT"),
    "gold": ("default", "DEFAULT"),
    "nope": ("default", "ERROR"),
}


def missing() -> str | None:
    """Return why the Node clients cannot run here, or None."""
    if shutil.which("node") is None:
        return "node is not installed"
    if not (MODULES / "@openfeature" / "ofrep-web-provider").is_dir():
        return "@openfeature/ofrep-web-provider is not installed: run tests/differential/install"
    return None


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[str, GivenArtifact]]:
    """Serve the flags to clients with a token; yield the URL and the artifact."""
    with open_edge(artifact=flags(), ofrep=ofrep_settings(tokens=[TOKEN])) as here:
        source = here.edge.artifacts
        assert isinstance(source, GivenArtifact)
        yield f"http://127.0.0.1:{here.port}", source


@pytest.fixture
def client(running: tuple[str, GivenArtifact]) -> Iterator[OpenFeatureClient]:
    provider = OFREPProvider(
        f"{running[0]}/acme", headers_factory=lambda: {"Authorization": f"Bearer {TOKEN}"}
    )
    api.set_provider_and_wait(provider, "ofrep")
    yield api.get_client("ofrep")
    api.clear_providers()
    provider.session.close()


@pytest.mark.parametrize("key", sorted(EXPECTED.keys() - {"a b#c"}))
def test_python_provider_gets_the_flag(client: OpenFeatureClient, key: str) -> None:
    default = DEFAULTS[key]
    kind = {bool: "boolean", int: "integer", float: "float", str: "string"}.get(type(default), "object")
    details = getattr(client, f"get_{kind}_details")(key, default, EvaluationContext("u1"))
    assert (details.value, str(details.reason)) == EXPECTED[key]


@pytest.mark.parametrize(
    ("kind", "default", "code"), [("boolean", False, "TYPE_MISMATCH"), ("float", 0.5, "TYPE_MISMATCH")]
)
def test_python_provider_refuses_a_value_of_another_type(
    client: OpenFeatureClient, kind: str, default: Any, code: str
) -> None:
    details = getattr(client, f"get_{kind}_details")("static:steps", default, EvaluationContext("u1"))
    assert (details.value, str(details.error_code)) == (default, code)


def test_python_provider_without_a_context_misses_the_targeting_key(client: OpenFeatureClient) -> None:
    details = client.get_string_details("split", "default")
    assert (details.value, str(details.error_code)) == ("default", "TARGETING_KEY_MISSING")


def test_node_and_web_providers_get_the_flags_and_the_change(running: tuple[str, GivenArtifact]) -> None:
    if reason := missing():
        pytest.skip(reason)
    url, source = running
    question = {
        "url": url,
        "flags": list(DEFAULTS.items()),
        "context": {"targetingKey": "u1"},
        "token": TOKEN,
    }
    command = ["node", "--experimental-eventsource", "--no-warnings", str(PROGRAM), json.dumps(question)]
    environment = {**os.environ, "NODE_PATH": str(MODULES)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as node:
        assert node.stdout is not None
        before = json.loads(node.stdout.readline())
        document = flags()
        document["rules"]["mboxes"]["gold"] = [rule(2, content="for all", name="gold")]
        source.replace(document)
        after = json.loads(node.stdout.readline())
        assert node.wait(10) == 0
    web = dict(zip(DEFAULTS, before["web"], strict=True))
    assert {key: (one["value"], one["reason"]) for key, one in web.items()} == EXPECTED
    server = dict(zip(DEFAULTS, before["server"], strict=True))
    assert server["gold"]["errorCode"] == "GENERAL", "the client knows no flag without a value"
    assert server["a b#c"]["errorCode"] == "FLAG_NOT_FOUND", "the client does not encode keys"
    for key in EXPECTED.keys() - {"gold", "a b#c"}:
        assert (server[key]["value"], server[key]["reason"]) == EXPECTED[key]
    assert "gold" in after["changed"]
    assert dict(zip(DEFAULTS, after["web"], strict=True))["gold"]["value"] == "for all"


PAGE = (CHECKOUT / "docs" / "ofrep.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("language", "number", "printed"),
    [("js", 0, r"(true|false)\n\w+"), ("js", 1, r"oneClick: "), ("sh", 1, r'"reason":"SPLIT"')],
    ids=["node", "web page", "curl"],
)
def test_snippet_of_the_page_gets_flags(language: str, number: int, printed: str) -> None:
    snippet = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)[number]
    if language == "js" and (reason := missing()):
        pytest.skip(reason)
    if language == "sh" and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    command = (
        ["sh", "-c"] if language == "sh" else ["node", "--experimental-eventsource", "--no-warnings", "-e"]
    )
    environment = {**os.environ, "NODE_PATH": str(MODULES)}
    with edge() as here:
        program = snippet.replace("http://localhost:8080", here.url)
        ran = subprocess.run(
            [*command, program], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
    assert re.search(printed, ran.stdout), ran.stderr
