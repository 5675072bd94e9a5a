"""Delivery endpoint over real sockets: compression, batches of events, request history."""

from __future__ import annotations

import copy
import gzip
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from support.edge import HERO, NOW_MS
from support.edge_sockets import OpenEdge, open_edge, post, read_response, wait_until
from targetry.ledger.errors import LedgerError
from targetry.samples import shop

LARGE = "large"  # an mbox whose response is compressed
HUGE = "huge"  # and one whose response is compressed by a thread
NOTIFICATION = {"id": "n1", "type": "display", "timestamp": 1, "tokens": ["t"]}
SENT = {"context": HERO["context"], "id": {"tntId": "a"}, "notifications": [NOTIFICATION]}
WITH_ID = {**HERO, "requestId": "r1", "impressionId": "i1"}
GZIP = "accept-encoding: gzip, deflate"


def mbox_request(mbox: str) -> dict[str, Any]:
    return {**WITH_ID, "execute": {"mboxes": [{"name": mbox}]}}


def artifact() -> dict[str, Any]:
    """Return the shop, with two mboxes that have much content."""
    document = shop()
    for name, size in ((LARGE, 20_000), (HUGE, 300_000)):
        rules = copy.deepcopy(document["rules"]["mboxes"]["hero"])
        for rule in rules:
            rule["consequence"]["name"] = name
            rule["consequence"]["options"][0]["content"] = "word " * (size // 5)
        document["rules"]["mboxes"][name] = rules
    return document


class FullLedger:
    """Ledger on a full disk."""

    def record(self, events: Any) -> list[bool]:
        raise LedgerError("full", "no space is left")

    def close(self) -> None: ...


@pytest.fixture(scope="module")
def here() -> Iterator[OpenEdge]:
    with open_edge(artifact=artifact(), now=lambda: NOW_MS / 1000, new_id=lambda: "an-id") as running:
        yield running


def response(here: OpenEdge, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body."""
    with here.connect() as connection:
        connection.sendall(request)
        head, _, body = read_response(connection).partition(b"\r\n\r\n")
    status, *fields = head.decode("latin-1").split("\r\n")
    return int(status.split()[1]), dict(field.split(": ", 1) for field in fields), body


@pytest.mark.parametrize(
    ("request_", "status", "is_compressed"),
    [
        (post(WITH_ID), 200, False),
        (post(WITH_ID, GZIP), 200, False),
        (post(mbox_request(LARGE)), 200, False),
        (post(mbox_request(LARGE), GZIP), 200, True),
        (post(mbox_request(LARGE), "accept-encoding: br"), 200, False),
        (post(mbox_request(HUGE)), 200, False),
        (post(mbox_request(HUGE), GZIP), 200, True),
        (post({**WITH_ID, "trace": {"authorizationToken": "t"}}), 200, False),
        (post(b"{", GZIP), 400, False),
        (post(WITH_ID, query="client=other&sessionId=s"), 400, False),
        (post(WITH_ID, query="client=acme"), 400, False),
        (post(WITH_ID, query="client=%61cm%65&sessionId=a%2Bb&x=%FF"), 200, False),
        (post(WITH_ID, query="&".join(f"f{n}=1" for n in range(101))), 400, False),
        (post(b"", "content-encoding: gzip"), 400, False),
    ],
    ids=[
        "small",
        "small, gzip accepted",
        "large",
        "large, gzip accepted",
        "large, other encoding accepted",
        "huge",
        "huge, gzip accepted",
        "trace",
        "no JSON",
        "unknown client",
        "no session",
        "encoded query",
        "too many query fields",
        "no gzip",
    ],
)
def test_response_is_compressed_where_it_pays(
    here: OpenEdge, request_: bytes, status: int, is_compressed: bool
) -> None:
    found, headers, body = response(here, request_)
    assert (found, headers.get("content-encoding") == "gzip") == (status, is_compressed)
    assert headers["content-type"] == "application/json"
    assert ("Accept-Encoding" in headers["vary"]) == (is_compressed or len(body) >= 1024)
    document = json.loads(gzip.decompress(body) if is_compressed else body)
    assert document["status"] == status


def test_notification_that_is_not_recorded_is_503_with_a_pause() -> None:
    with open_edge(ledger=FullLedger()) as here:
        status, headers, _ = response(here, post({**SENT, "requestId": "r"}))
        assert (status, headers["retry-after"]) == (503, "1")
        assert response(here, post(WITH_ID))[0] == 200


def test_request_closed_after_its_response_raises(here: OpenEdge) -> None:
    assert response(here, post(WITH_ID, "connection: close"))[1]["connection"] == "close"


def test_requests_are_counted_by_route_and_outcome() -> None:
    requests = [post(WITH_ID), post(WITH_ID), post({**SENT, "requestId": "r"}), post(b"junk")]
    with open_edge(now=lambda: NOW_MS / 1000) as here:
        for request in requests:
            response(here, request)
        wait_until(lambda: 'route="delivery",status="400"} 1.0' in here.metrics())
        lines = here.metrics().splitlines()
    assert 'targetry_edge_requests_total{route="delivery",status="200"} 3.0' in lines
    assert 'targetry_edge_events_total{kind="impression",outcome="seen"} 1.0' in lines


def test_requests_of_scripts_and_of_sdks_are_in_the_history() -> None:
    with open_edge() as here:
        response(here, post(WITH_ID))
        response(here, post(WITH_ID, "origin: http://localhost:3000"))
        assert [one.status for one in here.edge.history.between()] == [200, 200]


def test_requests_that_arrive_together_are_recorded_by_one_commit() -> None:
    asked: list[int] = []

    class Counting:
        async def arecord(self, events: Any) -> list[bool]:
            asked.append(len(events))
            return [True] * len(events)

        def record(self, events: Any) -> list[bool]:
            raise AssertionError("there is a coroutine")

        def close(self) -> None: ...

    with open_edge(ledger=Counting()) as here:
        connections = [here.connect() for _ in range(20)]
        wait_until(lambda: here.connections() == 20)
        holds, may_go = threading.Event(), threading.Event()
        here.loop.call_soon_threadsafe(lambda: (holds.set(), may_go.wait(10)))
        assert holds.wait(10)
        for number, connection in enumerate(connections):
            connection.sendall(post({**HERO, "requestId": str(number)}))
        may_go.set()
        for connection in connections:
            assert json.loads(read_response(connection).partition(b"\r\n\r\n")[2])["status"] == 200
            connection.close()
    assert asked == [20]
