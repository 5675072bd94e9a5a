"""Requests to the edge's pure core, and to its app without a port."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from typing import Any

from starlette.testclient import TestClient

from targetry.edge.app import Edge, EdgeApplication
from targetry.edge.artifacts.registry import ArtifactRegistry, LoadedArtifact
from targetry.edge.delivery.handler import DeliveryResult, parse_request, respond
from targetry.edge.in_process import GivenArtifact, MemoryLedger
from targetry.samples import shop_path

NOW_MS = 1_795_800_000_000
QUERY = "imsOrgId=X%40AdobeOrg&sessionId=s1"
WEB = {"channel": "web"}
HERO = {"context": WEB, "id": {"tntId": "3f9c"}, "execute": {"mboxes": [{"name": "hero"}]}}


def shop_registry(**options: Any) -> ArtifactRegistry:
    return ArtifactRegistry([LoadedArtifact("shop", shop_path().read_bytes(), **options)])


SHOP = shop_registry()


def ids() -> Any:
    """Return a factory of numbered ids: `id-1`, `id-2` and so on."""
    counter = itertools.count(1)
    return lambda: f"id-{next(counter)}"


def ask(
    request: Any, query: str = QUERY, *, registry: ArtifactRegistry = SHOP, **options: Any
) -> DeliveryResult:
    """Call the core; `request` is a document or a body in bytes."""
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    parsed = parse_request(body, query, registry)
    if isinstance(parsed, DeliveryResult):
        return parsed
    return respond(parsed, **{"now_ms": NOW_MS, "new_id": ids(), **options})


def response_to(request: Any, query: str = QUERY, **options: Any) -> dict[str, Any]:
    """Return the document of the core's response."""
    answer: dict[str, Any] = json.loads(ask(request, query, **options).body)
    return answer


def web_client(ledger: Any = None, artifact: Any = None, **options: Any) -> TestClient:
    """Return a test client of the app, which runs in this process."""
    payload = GivenArtifact(artifact if artifact is not None else shop_path(), options.pop("client", None))
    edge = Edge(payload, ledger=ledger if ledger is not None else MemoryLedger(), **options)
    return TestClient(EdgeApplication(edge))


def opened_requests(client: TestClient) -> str:
    """Return the pages of all listed requests."""
    numbers = re.findall(r'data-number="(\d+)"', client.get("/recent").text)
    return "".join(client.get(f"/request?number={number}").text for number in numbers)


def experience(mbox: Mapping[str, Any]) -> str:
    name: str = mbox["options"][0]["responseTokens"]["experience.name"]
    return name
