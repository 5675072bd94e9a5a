"""Hours of faults on a clock that the tests move."""

from __future__ import annotations

import heapq
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from e2e.client.target import artifact
from support.background_fakes import REFUSED, Clock, Lines, answer
from support.notifier import OK, SenderHarness, counters_add_up, delivery
from targetry._client.call_options import offer_settings
from targetry._client.options import client_settings
from targetry._client.pipeline import OfferPipeline
from targetry._runtime.logger import Log
from targetry._runtime.rate_limited_log import RateLimitedLog
from targetry.artifacts.poll_schedule import PollSchedule
from targetry.artifacts.refresh import ArtifactRefresher
from targetry.delivery.clusters import ClusterDirectory
from targetry.delivery.telemetry import TelemetryStore
from targetry.device.ruleset import RuleSet, compile_artifact
from targetry.errors import TransportError
from targetry.http.protocol import HttpRequest, HttpResponse
from targetry.models import DecisioningMethod, DeliveryRequest, ExecuteRequest, MboxRequest

INTERVAL_S = 300
ARTIFACT = answer(200, json.dumps(artifact()).encode(), etag='"1"')
NOT_MODIFIED = answer(304, etag='"1"')
HERO = DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="hero")]))

Reply = HttpResponse | TransportError


class Cdn:
    """Asked by any number of clients; notes when. `reply` is what it says now."""

    def __init__(self, clock: Clock, reply: Reply = ARTIFACT) -> None:
        self.clock = clock
        self.reply = reply
        self.asked_at: list[float] = []

    def send(self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None) -> HttpResponse:
        self.asked_at.append(self.clock())
        if isinstance(self.reply, TransportError):
            raise self.reply
        is_known = self.reply is ARTIFACT and "if-none-match" in request.headers
        return NOT_MODIFIED if is_known else self.reply

    def close(self) -> None: ...


class Client:
    """The part of one that gets the artifact, and the engine that the pipeline asks."""

    def __init__(
        self, cdn: Cdn, draw: Callable[[], float], lines: Lines, compile: Callable[[bytes], RuleSet]
    ) -> None:
        self.refresh = ArtifactRefresher[RuleSet](
            transport=cdn,
            url="https://cdn.example/acme/production/v1/rules.json",
            compile=compile,
            parse=json.loads,
            emit=lambda *_, **__: None,
            log=RateLimitedLog(lines, cdn.clock),
            schedule=PollSchedule(INTERVAL_S, draw),
            disk=None,
            max_bytes=1 << 20,
            timeout_s=30,
            on_outcome=lambda _: None,
            on_ready=lambda: None,
            on_download=None,
            clock=cdn.clock,
            now=cdn.clock,
        )

    @property
    def rules(self) -> RuleSet | None:
        return self.refresh.current

    def in_use(self) -> tuple[RuleSet | None, bool]:
        return self.rules, self.refresh.freshness.stale

    def trace(self) -> dict[str, Any]:
        return {}


def test_day_without_cdn_fails_no_decision_and_logs_little() -> None:
    clock = Clock()
    cdn, lines = Cdn(clock), Lines()
    client = Client(cdn, random.Random(2).random, lines, compile_artifact)
    options = client_settings({"client": "acme", "organization_id": "A@AdobeOrg"}, {})
    clusters = ClusterDirectory(cdn.clock)
    telemetry = TelemetryStore(enabled=True)
    pipeline = OfferPipeline(
        options, engine=client, log=Log(), telemetry=telemetry, report=lambda _: None, clusters=clusters
    )

    def decide() -> bool:
        """Whether there is an answer that says how fresh it is."""
        result = pipeline.decide(
            pipeline.prepare_call(offer_settings({"request": HERO}, {}, DecisioningMethod.ON_DEVICE))
        )
        assert result["response"].execute.mboxes[0].options[0].content == {"title": "first"}
        return bool(result["meta"].get("stale"))

    due = clock() + (client.refresh.run_once() or 0)
    cdn.reply = REFUSED
    ages, stale, told_at = [], [], []
    for _minute in range(24 * 60):
        clock.advance(60)
        while due <= clock():
            known = len(lines.errors)
            due += client.refresh.run_once() or 0
            told_at += [clock()] * (len(lines.errors) - known)
        stale.append(decide())
        ages.append(client.refresh.freshness.age_s or 0)
    assert ages == [60.0 * minute for minute in range(1, 24 * 60 + 1)]
    assert stale == [age > 2 * INTERVAL_S for age in ages]
    assert max(Counter(told_at).values()) <= 2  # a failure, and once that the rules are stale now
    assert len(told_at) <= 24 * 60
    cdn.reply = ARTIFACT
    clock.advance(INTERVAL_S)
    client.refresh.run_once()
    assert not decide()


class Fleet:
    """Clients that were all started at the same moment, each with its own random numbers."""

    def __init__(self, size: int, reply: Reply = ARTIFACT) -> None:
        rules = compile_artifact(ARTIFACT.body)
        self.clock = Clock(0.0)
        self.cdn = Cdn(self.clock, reply)
        clients = [Client(self.cdn, random.Random(n).random, Lines(), lambda _: rules) for n in range(size)]
        self._due = [(0.0, number, client) for number, client in enumerate(clients)]

    def run(self, seconds: float) -> None:
        end = self.clock.time + seconds
        while self._due[0][0] <= end:
            self.clock.time, number, client = self._due[0]
            delay = client.refresh.run_once()
            assert delay is not None
            heapq.heapreplace(self._due, (self.clock.time + delay, number, client))
        self.clock.time = end

    def peak(self, seconds: float, window_s: float = INTERVAL_S) -> float:
        """Return the busiest share of requests to the CDN, as a multiple of an even one."""
        start, asked = self.clock.time, len(self.cdn.asked_at)
        self.run(seconds)
        slots = Counter(int((time - start) / window_s * 20) for time in self.cdn.asked_at[asked:])
        return max(slots.values()) / (len(self._due) / 20)


def test_processes_restarted_together_do_not_poll_together() -> None:
    """Check that the first download is not spread: no client decides without it."""
    fleet = Fleet(500)
    fleet.run(0.001)
    assert len(fleet.cdn.asked_at) == 500
    assert fleet.peak(12 * INTERVAL_S) <= 2


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(REFUSED, id="no answer"),
        pytest.param(answer(503), id="503", marks=pytest.mark.slow),
        pytest.param(answer(503, retry_after="120"), id="503, retry after 120"),
        pytest.param(answer(429, retry_after="30"), id="429, retry after 30", marks=pytest.mark.slow),
        pytest.param(answer(403), id="403", marks=pytest.mark.slow),
    ],
)
def test_processes_rejected_together_do_not_retry_together(trouble: Reply) -> None:
    fleet = Fleet(500)
    fleet.run(3 * INTERVAL_S)
    fleet.cdn.reply = trouble
    fleet.run(1800)
    fleet.cdn.reply = ARTIFACT
    assert fleet.peak(12 * INTERVAL_S) <= 2


def test_processes_started_without_cdn_are_spread_at_recovery() -> None:
    fleet = Fleet(500, REFUSED)
    fleet.run(600)
    fleet.cdn.reply = ARTIFACT
    assert fleet.peak(120, window_s=60) <= 2
    assert fleet.peak(12 * INTERVAL_S) <= 2


def check_an_hour_without_endpoint(decisions_per_s: int) -> None:
    harness = SenderHarness(REFUSED, limit=10_000)
    offered = 0
    for _ in range(3600):
        for _ in range(decisions_per_s):
            harness.submit(delivery())
            offered += 1
        harness.work(seconds=1.0)
    assert counters_add_up(harness.stats)
    assert (harness.stats.accepted, harness.stats.pending) == (offered, 10_000)
    assert harness.stats.dropped == {"queue_full": offered - 10_000}
    assert len(harness.api.requests) < 3600 / 10
    harness.api.reply = OK
    harness.work()
    assert (harness.stats.sent, harness.stats.pending) == (10_000, 0)
    assert set(harness.api.received.values()) == {1}
    assert sum(emitted["count"] for emitted in harness.events("notification_failed")) == offered - 10_000


def test_hour_without_endpoint_is_bounded_counted_and_recovered() -> None:
    """F7, with a tenth of its traffic; with all of it: `soak/test_soak.py`."""
    check_an_hour_without_endpoint(decisions_per_s=20)
