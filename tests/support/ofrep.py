"""An artifact with flags of every outcome, and requests for them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import httpx2
from starlette.testclient import TestClient

from support.device import artifact, rule, window

ONE = "/ofrep/v1/evaluate/flags/"
ALL = "/ofrep/v1/evaluate/flags"
SOMEONE = {"targetingKey": "u1"}
MEMBERS = {"on": True, "steps": 3, "rate": 10.0, "name": "x", "nested": {"deep": [1, 2]}, "gone": None}
GOLD = {"==": [{"var": "mbox.plan"}, "gold"]}
ROME = {"==": [{"var": "geo.country"}, "IT"]}


def flags(**more: Any) -> dict[str, Any]:
    """Return an artifact with a flag for each outcome."""
    mboxes = {
        "static": [rule(1, content=MEMBERS, kind="json", name="static")],
        "gold": [rule(2, GOLD, content="gold", name="gold")],
        "rest": [rule(3, GOLD, name="rest"), rule(4, content="rest", name="rest")],
        "split": [rule(5, window(0, 99.98), content="split", name="split")],
        "empty": [rule(6, name="empty", consequence={"name": "empty", "options": []})],
        "home/hero": [rule(7, content="slash", name="home/hero")],
        "a b#c": [rule(8, content=[1, 2.5, "x"], kind="json", name="a b#c")],
        "italy": [rule(9, ROME, content="ciao", name="italy")],
    }
    return artifact(mboxes, **{"remoteMboxes": ["away"], **more})


def evaluate(client: TestClient, key: str, context: Any = SOMEONE, **options: Any) -> httpx2.Response:
    """Evaluate one flag."""
    return post(client, ONE + quote(key), context, **options)


def post(client: TestClient, path: str, context: Any = SOMEONE, **options: Any) -> httpx2.Response:
    answer: httpx2.Response = client.post(path, content=json.dumps({"context": context}), **options)
    return answer
