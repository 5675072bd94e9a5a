"""Facts about addresses and user agents equal those in traces of the Node SDK."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from differential.facts_cases import address, client
from differential.node import NodeProgram, missing
from support.slow import slow
from targetry.device.logic.url import parse_url
from targetry.device.logic.user_agent import parse_user_agent

reason = missing("decide.cjs")
pytestmark = pytest.mark.skipif(reason is not None, reason=str(reason))


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProgram]:
    with NodeProgram("decide.cjs") as program:
        yield program


@pytest.mark.parametrize("seed", [1, *slow(2, 3, 4, 5)])
def test_addresses_have_the_parts_of_node(node: NodeProgram, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(10):
        addresses = [address(rng) for _ in range(20)]
        asked = [{"name": f"m{i}", "address": {"url": url}} for i, url in enumerate(addresses)]
        contexts = _contexts(node, {"channel": "web"}, asked)
        for url, context in zip(addresses, contexts, strict=True):
            assert (url, parse_url(url).as_dict()) == (url, context["page"])


@pytest.mark.parametrize(("seed", "number"), [(1, 30), *slow((1, 100), (2, 100), (3, 100))])
def test_user_agents_are_parsed_as_by_node(node: NodeProgram, seed: int, number: int) -> None:
    rng = random.Random(seed)
    for _ in range(number):
        context = client(rng)
        hints = context.get("clientHints", {})
        user = _contexts(node, {"channel": "web", **context}, [{"name": "m0"}])[0]["user"]
        expected = user["browserType"], user["browserVersion"], user["platform"]
        names = ("platform", "browserUAWithFullVersion", "browserUAWithMajorVersion")
        assert (context, parse_user_agent(context["userAgent"], *map(hints.get, names))) == (
            context,
            expected,
        )


def _contexts(
    node: NodeProgram, context: dict[str, Any], mboxes: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the facts of each mbox, each of which has its own activity."""
    rules = {mbox["name"]: [_rule(mbox["name"], number)] for number, mbox in enumerate(mboxes)}
    request = {"id": {"tntId": "x"}, "context": context, "trace": {}, "prefetch": {"mboxes": mboxes}}
    artifact = {"version": "1.0.0", "meta": {}, "rules": {"mboxes": rules, "views": {}}}
    answer = node.ask(
        {"artifact": artifact, "request": request, "sessionId": "s", "now": 0, "conf": {"client": "acme"}}
    )
    trace = answer["response"]["prefetch"]["mboxes"][-1]["trace"]
    return [target["context"] for target in trace["evaluatedCampaignTargets"]]


def _rule(name: str, number: int) -> dict[str, Any]:
    meta = {"activity.id": number, "audience.ids": []}
    return {
        "ruleKey": str(number),
        "meta": meta,
        "condition": True,
        "consequence": {"name": name, "options": [], "metrics": []},
    }
