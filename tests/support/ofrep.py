"""An artifact with flags of every outcome, and requests for them."""

from __future__ import annotations

import http.client
import json
from typing import Any, Self
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


class StreamClient:
    """A client of an event stream. `close` it."""

    def __init__(self, url: str, path: str = "/ofrep/v1/events", **headers: str) -> None:
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
        self._connection.request(
            "GET", path, headers={name.replace("_", "-"): headers[name] for name in headers}
        )
        self.answer = self._connection.getresponse()

    def read(self) -> dict[str, str]:
        """Return the fields of the next event or comment; empty at the end of the stream."""
        fields = {}
        while line := self.answer.readline().decode().rstrip("\n"):
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        return fields

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
