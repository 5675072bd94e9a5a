"""Impressions of one visitor's decisions, as an edge counts them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from support.notifier import LONG_S
from targetry import TargetClient
from targetry.edge.in_process import LocalEdge
from targetry.http import HttpTransport
from targetry.http.protocol import HttpRequest, HttpResponse
from targetry.notifications.queue.counters import NotifierStats
from targetry.samples import shop
from targetry.testing import answer, edge


class Gate:
    """A transport that lets no request pass before `opened`, counts them, and refuses a token."""

    def __init__(self, refused: bytes | None = None) -> None:
        self.opened = threading.Event()
        self.calls = 0
        self._refused = refused
        self._transport = HttpTransport()

    def send(self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None) -> HttpResponse:
        assert self.opened.wait(LONG_S)
        self.calls += 1
        if self._refused is not None and self._refused in (request.body or b""):
            return answer({"status": 400, "message": "no such token"}, status=400)
        return self._transport.send(request, timeout=timeout, max_bytes=max_bytes)

    def close(self) -> None:
        self._transport.close()


@pytest.fixture(scope="module")
def here() -> Iterator[LocalEdge]:
    with edge() as running:
        yield running


def reported(here: LocalEdge, gate: Gate, names: tuple[str, ...]) -> tuple[NotifierStats, list[str]]:
    """Decide mboxes for one visitor; return the counters, and the mboxes that the edge counted."""
    before = len(here.events)
    options: dict[str, Any] = here.client_options() | {
        "decisioning_method": "on-device",
        "artifact_payload": shop(),
    }
    with TargetClient.create(**options, transport=gate) as client:
        visitor = client.visitor(tnt_id="a1b2")
        for name in names:
            assert client.decide(name, visitor).is_shown
        gate.opened.set()
        assert client.flush(LONG_S)
        return client.stats().notifications, [event.location for event in here.events[before:]]


def test_ten_decisions_of_one_visitor_are_one_call_and_ten_impressions(here: LocalEdge) -> None:
    gate = Gate()
    stats, counted = reported(here, gate, ("hero",) * 10)
    assert gate.calls <= 2  # the first may have been on its way before the others were decided
    assert (stats.accepted, stats.sent, stats.dropped) == (10, 10, {})
    assert counted == ["hero"] * 10


def test_one_refused_token_costs_no_other_impression(here: LocalEdge) -> None:
    gate = Gate(refused=b'"name":"checkout-flags"')
    stats, counted = reported(here, gate, ("hero", "checkout-flags", "hero"))
    assert (stats.accepted, stats.sent, stats.dropped) == (3, 2, {"rejected": 1})
    assert counted == ["hero", "hero"]
