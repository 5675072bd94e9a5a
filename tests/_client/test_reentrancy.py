"""Signal handlers that interrupt the same operation, for each part of a client."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from targetry._runtime.daemon_threads import DaemonThreadPool
from targetry._runtime.logger import Log
from targetry._runtime.rate_limited_log import RateLimitedLog
from targetry.delivery.telemetry import TelemetryStore, artifact_entry
from targetry.events import Events
from targetry.geo.lookup import GeoLookup
from targetry.http.pool import ConnectionPool, Lease
from targetry.models import DeliveryRequest
from targetry.testing import FakeTransport, answer
from targetry.visitor import Visitor

ORIGIN = ("http", "127.0.0.1", 80)
LONG_S = 10.0
MAX_DEPTH = 5


def visitor() -> Callable[[], object]:
    one = Visitor("A@AdobeOrg")
    return lambda: (one.get_supplemental_data_id("a"), one.get_state())


def geo() -> Callable[[], object]:
    transport = FakeTransport(by=lambda _: answer(headers={"x-geo-city": "ROME"}))
    lookup = GeoLookup(
        transport=transport, url="http://t", emit=lambda *_, **__: None, log=Log(), max_entries=3
    )
    numbers = count()
    return lambda: (lookup.find(f"10.0.0.{next(numbers) % 5}"), lookup.stats())


def events() -> Callable[[], object]:
    one = Events({}, Log())
    return lambda: (
        one.unsubscribe(one.subscribe("client_ready", lambda: None)),
        one.emit("client_ready"),
    )


def telemetry() -> Callable[[], object]:
    store = TelemetryStore(enabled=True)
    entry = artifact_entry(timestamp=1, execution_ms=1.0, response_size=1)
    return lambda: (store.add(entry), store.put_back(store.attach(DeliveryRequest())))


def log() -> Callable[[], object]:
    one, numbers = RateLimitedLog(Log()), count()
    return lambda: one.debug("kind %s", next(numbers))


class FakeConnection:
    """A connection that is always reusable."""

    idle_since = 0.0
    is_reusable = staticmethod(lambda: True)
    has_surplus = staticmethod(lambda: False)
    unread = staticmethod(lambda: None)
    drop = staticmethod(lambda: None)


def pool() -> Callable[[], object]:
    one: ConnectionPool[Any] = ConnectionPool(2)
    numbers = count()

    def use() -> None:
        lease: Lease[Any] = Lease()
        if not one.request_slot(lease, int):
            return
        one.acquire(ORIGIN, lease)
        one.release(ORIGIN, lease, lease.connection or FakeConnection(), must_close=False)
        one.release_slot(lease)
        if next(numbers) % 7 == 0:
            one.abandon()

    return use


def threads() -> Callable[[], object]:
    one = DaemonThreadPool("targetry-test", limit=2, queue_limit=100_000)
    return lambda: one.submit(int)


OPERATIONS = (visitor, geo, events, telemetry, log, pool, threads)


@pytest.mark.skipif(sys.platform == "win32", reason="needs interval timers")
@pytest.mark.parametrize("make", OPERATIONS, ids=lambda make: make.__name__)
def test_signal_handler_can_repeat_the_interrupted_call(make: Callable[[], Callable[[], object]]) -> None:
    use, handled, depth = make(), [0], [0]

    def handle(*_: object) -> None:
        handled[0] += 1
        depth[0] += 1
        if depth[0] <= MAX_DEPTH:  # on a slow machine the next signal comes before the handler has returned
            use()
        depth[0] -= 1

    before = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        deadline = time.monotonic() + LONG_S
        while handled[0] < 150 and time.monotonic() < deadline:
            use()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert handled[0] >= 150


def test_consumers_share_an_id_if_a_signal_handler_requests_one_between() -> None:
    made: list[str] = []

    def factory() -> str:
        made.append(f"sdid{len(made)}")
        if len(made) == 1:  # as a signal handler would, in the middle of the call
            assert visitor.get_supplemental_data_id("b") == "sdid1"
        return made[0] if len(made) == 1 else made[-1]

    visitor = Visitor("A@AdobeOrg", sdid_factory=factory)
    assert visitor.get_supplemental_data_id("a") == "sdid1"
    assert visitor.get_supplemental_data_id("c") == "sdid1"
