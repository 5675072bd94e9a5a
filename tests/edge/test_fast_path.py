"""The short way of delivery requests: it answers as the app does, takes what is plain, and leaves the rest to the app."""

from __future__ import annotations

import copy
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.edge import HERO, NOW_MS, QUERY
from support.edge_sockets import OpenEdge, one_answer, open_edge, post, wait_until
from targetry.edge.app import Edge
from targetry.edge.fast_path import Exchange, Shortcut
from targetry.edge.in_process import _Payload
from targetry.ledger.errors import LedgerError
from targetry.samples import shop, shop_path

LARGE = "large"  # an mbox whose answer is zipped
HUGE = "huge"  # and one whose answer is zipped by a thread
NOTIFICATION = {"id": "n1", "type": "display", "timestamp": 1, "tokens": ["t"]}
SENT = {"context": HERO["context"], "id": {"tntId": "a"}, "notifications": [NOTIFICATION]}
WITH_ID = {**HERO, "requestId": "r1", "impressionId": "i1"}


def hero(mbox: str) -> dict[str, Any]:
    return {**WITH_ID, "execute": {"mboxes": [{"name": mbox}]}}


def artifact() -> dict[str, Any]:
    """The shop, where some mboxes have much content."""
    document = shop()
    for name, size in ((LARGE, 20_000), (HUGE, 300_000)):
        rules = copy.deepcopy(document["rules"]["mboxes"]["hero"])
        for rule in rules:
            rule["consequence"]["name"] = name
            rule["consequence"]["options"][0]["content"] = "word " * (size // 5)
        document["rules"]["mboxes"][name] = rules
    return document


class Full:
    """A ledger whose disk is full."""

    def record(self, events: Any) -> list[bool]:
        raise LedgerError("full", "no space is left")

    def close(self) -> None: ...


def stopped() -> float:
    raise ZeroDivisionError("the clock stands still")


EDGES: dict[str, dict[str, Any]] = {
    "usual": {"now": lambda: NOW_MS / 1000, "new_id": lambda: "an-id"},
    "full": {"now": lambda: NOW_MS / 1000, "new_id": lambda: "an-id", "ledger": Full()},
    "broken": {"now": stopped},
}


@pytest.fixture(scope="module")
def twins() -> Iterator[dict[str, tuple[OpenEdge, OpenEdge]]]:
    """Edges of each kind: one with the short way, and one with the app alone."""
    with ExitStack() as stack:
        yield {
            name: (
                stack.enter_context(open_edge(artifact=artifact(), **options)),
                stack.enter_context(open_edge(artifact=artifact(), has_shortcut=False, **options)),
            )
            for name, options in EDGES.items()
        }


def answer(here: OpenEdge, request: bytes) -> tuple[str, list[str], bytes]:
    """Status line, sorted headers without the date, body."""
    with here.connect() as connection:
        connection.sendall(request)
        head, _, body = one_answer(connection).decode("latin-1").partition("\r\n\r\n")
    status, *fields = head.split("\r\n")
    return status, sorted(one for one in fields if not one.startswith("date:")), body.encode("latin-1")


GZIP = "accept-encoding: gzip, deflate"
CASES: dict[str, tuple[str, bytes]] = {
    "an offer": ("usual", post(WITH_ID)),
    "an offer, zip allowed": ("usual", post(WITH_ID, GZIP)),
    "a large offer": ("usual", post(hero(LARGE))),
    "a large offer, zipped": ("usual", post(hero(LARGE), GZIP)),
    "a large offer, zip not known": ("usual", post(hero(LARGE), "accept-encoding: br")),
    "a huge offer": ("usual", post(hero(HUGE))),
    "a huge offer, zipped": ("usual", post(hero(HUGE), GZIP)),
    "an mbox without rules": ("usual", post(hero("nothing"))),
    "a prefetch": ("usual", post({**WITH_ID, "execute": None, "prefetch": {"mboxes": [{"name": "hero"}]}})),
    "a notification": ("usual", post({**SENT, "requestId": "r2"})),
    "a beacon": ("usual", post({**SENT, "requestId": "r3", "context": {"channel": "web", "beacon": True}})),
    "a trace": ("usual", post({**WITH_ID, "trace": {"authorizationToken": "t"}})),
    "the end of the connection": ("usual", post(WITH_ID, "connection: close")),
    "no JSON": ("usual", post(b"{")),
    "an empty object": ("usual", post(b"{}")),
    "a wrong field": ("usual", post({**HERO, "execute": {"mboxes": [{}]}})),
    "a form that is not understood": ("usual", post({**WITH_ID, "context": {"channel": "tv"}})),
    "a client that is not served": ("usual", post(WITH_ID, query="client=other&sessionId=s")),
    "no session": ("usual", post(WITH_ID, query="client=acme")),
    "an encoded query": ("usual", post(WITH_ID, query="client=%61cm%65&sessionId=a%2Bb&x=%FF")),
    "too many fields": ("usual", post(WITH_ID, query="&".join(f"f{n}=1" for n in range(101)))),
    "an offer that is not recorded": ("full", post(WITH_ID)),
    "a notification that is not recorded": ("full", post({**SENT, "requestId": "r4"})),
    "an error of ours": ("broken", post(WITH_ID)),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "request_"), CASES.values(), ids=CASES)
def test_both_ways_answer_alike(
    twins: dict[str, tuple[OpenEdge, OpenEdge]], kind: str, request_: bytes
) -> None:
    short, long = twins[kind]
    status, headers, body = answer(short, request_)
    assert (status, headers, body) == answer(long, request_)
    assert ("content-encoding: gzip" in headers) == (body[:2] == b"\x1f\x8b")


def test_both_ways_count_and_record_alike() -> None:
    requests = [post(WITH_ID), post(WITH_ID), post({**SENT, "requestId": "r"}), post(b"junk")]
    counted = []
    for has_shortcut in (True, False):
        with open_edge(has_shortcut=has_shortcut, now=lambda: NOW_MS / 1000) as here:
            for request in requests:
                answer(here, request)
            wait_until(lambda: 'route="delivery",status="400"} 1.0' in here.metrics())
            lines = here.metrics().splitlines()
            counted.append([line for line in lines if "_total{" in line or "_count{" in line])
    assert counted[0] == counted[1]
    assert 'targetry_edge_requests_total{route="delivery",status="200"} 3.0' in counted[0]
    assert 'targetry_edge_events_total{kind="impression",outcome="seen"} 1.0' in counted[0]


def test_a_request_is_on_the_page_whichever_way_it_went() -> None:
    with open_edge() as here:
        answer(here, post(WITH_ID))
        answer(here, post(WITH_ID, "origin: http://localhost:3000"))
        assert [one.status for one in here.edge._history.after()] == [200, 200]


def test_an_error_of_ours_has_its_cause_in_the_log(
    twins: dict[str, tuple[OpenEdge, OpenEdge]], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "targetry.edge"):
        assert answer(twins["broken"][0], post(HERO))[0].startswith("HTTP/1.1 500 ")
    assert "InternalError: ZeroDivisionError" in caplog.text


class Head:
    """What the parser says of a head."""

    def __init__(self, sent: bytes) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.exchange: Exchange | None = None
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(sent)

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.exchange = SHORTCUT.exchange(self.url, self.headers, self.parser, ("127.0.0.1", 80))


SHORTCUT = Shortcut(Edge(_Payload(shop_path(), None)))


@pytest.mark.parametrize(
    "fields", [(), ("accept-encoding: gzip",), ("content-type: text/plain", "cookie: a=b")]
)
def test_a_plain_request_goes_the_short_way(fields: tuple[str, ...]) -> None:
    exchange = Head(post(HERO, *fields)).exchange
    assert exchange is not None
    assert (exchange.query, exchange.zips) == (QUERY, "accept-encoding: gzip" in fields)


@pytest.mark.parametrize(
    "sent",
    [
        post(HERO, "origin: https://shop.example"),
        post(HERO, "sec-fetch-site: cross-site"),
        post(HERO).replace(b"host: localhost", b"host: shop.example"),
        post(HERO, "Content-Encoding: gzip"),
        post(HERO, "expect: 100-continue"),
        post(b""),
        post(b"x" * 1_000_001),
        post(HERO).replace(b"POST", b"PUT"),
        post(HERO).replace(b"POST", b"GET"),
        post(HERO).replace(b"HTTP/1.1", b"HTTP/1.0"),
        post(HERO).replace(b"/rest/v1/delivery?", b"/rest/v1/delivery/?"),
        post(HERO).replace(b"/rest/v1/delivery?", b"/rest/v1/deliver?"),
        post(HERO).replace(b"sessionId=s1", b"sessionId=s#1"),
        b"POST /rest/v1/delivery HTTP/1.1\r\ncontent-length: 1\r\n\r\n",
        b"POST /rest/v1/delivery?a=b HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"POST /rest/v1/delivery?a=b HTTP/1.1\r\n\r\n",
    ],
)
def test_whatever_is_special_goes_the_long_way(sent: bytes) -> None:
    assert Head(sent).exchange is None


@given(st.lists(st.binary(min_size=1, max_size=5)))
def test_a_body_is_what_came_in_whatever_pieces(pieces: list[bytes]) -> None:
    exchange = Exchange("", zips=False, keep_alive=True)
    for piece in pieces:
        exchange.take(piece)
    assert bytes(exchange.body) == b"".join(pieces)


def test_requests_that_come_together_are_recorded_together() -> None:
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
            assert json.loads(one_answer(connection).partition(b"\r\n\r\n")[2])["status"] == 200
            connection.close()
    assert asked == [20]
