"""Leaks of threads, sockets, files and memory in a long-lived program, and shared clients.

`tests/soak` runs the same scenarios for an hour.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.client import lasting
from e2e.client.conftest import reach
from e2e.client.lasting import HERO, LOOK, growth, leaks, use_from_threads
from e2e.client.target import DELIVERY, Target, artifact
from servers.faulty import HANG
from support.slow import slow
from targetry import TargetClient

pytestmark = pytest.mark.usefixtures("no_older_garbage")
needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files in /proc")

Scenario = Callable[[Target, Path], None]
CYCLES: dict[str, Scenario] = {
    "server-side": lambda target, _: lasting.server_side(target),
    "on-device": lambda target, _: lasting.on_device(target),
    "on-device with a cache": lasting.on_device,
    "spooled": lasting.spooled,
    "callbacks": lambda target, _: lasting.with_callbacks(target),
    "refused": lambda target, _: lasting.refused(target),
    "asyncio": lambda target, _: asyncio.run(lasting.awaited(target)),
}
EACH_RUN = {"server-side", "on-device", "asyncio"}


@needs_proc
@pytest.mark.parametrize("times", [8, *slow(30)])
@pytest.mark.parametrize(
    "scenario", [CYCLES[name] if name in EACH_RUN else slow(CYCLES[name])[0] for name in CYCLES], ids=CYCLES
)
def test_closed_clients_leave_no_file_or_thread(
    scenario: Scenario, times: int, target: Target, tmp_path: Path
) -> None:
    scenario(target, tmp_path)  # objects that exist once are created now

    def work() -> None:
        for _ in range(times):
            scenario(target, tmp_path)

    assert leaks(work, target) == (0, set())


@needs_proc
def test_cancelled_calls_leave_no_file_or_thread(target: Target) -> None:
    target.on(DELIVERY, HANG)
    asyncio.run(lasting.cancelled(target))
    assert leaks(lambda: asyncio.run(lasting.cancelled(target)), target) == (0, set())


@needs_proc
# A client that its thread held last is collected together with its sockets, in any order.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_threads_of_unclosed_clients_end(target: Target) -> None:
    """Check that dropping clients without `close` leaves no thread and no open file."""

    def forget() -> None:
        options = {**reach(target), "decisioning_method": "on-device", "cdn_base_path": target.url}
        TargetClient.create(options, polling_interval=1000, telemetry_enabled=False)

    forget()

    def work() -> None:
        for _ in range(5):
            forget()

    assert leaks(work, target)[1] == set()


@pytest.fixture
def decider(target: Target) -> Iterator[TargetClient]:
    options = {**reach(target), "decisioning_method": "on-device", "artifact_payload": artifact()}
    with TargetClient.create(options, polling_interval=0) as client:
        yield client


@pytest.mark.parametrize("times", [2_000, *slow(20_000)])
def test_decisions_leak_no_memory(times: int, decider: TargetClient, target: Target) -> None:
    def decide(number: int) -> Any:
        target.requests.clear()  # the server records the telemetry that is sent meanwhile
        return decider.get_offers({"request": LOOK, "session_id": f"s{number}"})

    def settle() -> None:
        assert decider.flush(60)  # reports wait for a sender, which gets little of a busy machine
        target.requests.clear()

    assert growth(decide, times, settle) < 250_000 + 5 * times


@pytest.mark.slow
@pytest.mark.parametrize("times", [200, *slow(800)])
def test_large_offers_are_not_retained(times: int, target: Target) -> None:
    """Check also the telemetry, which is queued until the next request to the edge."""
    rules = artifact()
    offer = rules["rules"]["mboxes"]["hero"][0]["consequence"]["options"][0]
    offer["content"] = {"items": ["x" * 50 for _ in range(400)]}
    options = {**reach(target), "decisioning_method": "on-device", "artifact_payload": rules}
    with TargetClient.create(options, polling_interval=0) as client:
        assert growth(lambda _: client.get_offers(request=LOOK), times) < 500_000


def test_closed_client_is_collected(target: Target) -> None:
    def use() -> weakref.ref[Any]:
        options = {**reach(target), "decisioning_method": "hybrid", "cdn_base_path": target.url}
        with TargetClient.create(options, polling_interval=1000, events={"client_ready": print}) as client:
            client.get_offers(request=HERO)
            client.get_offers(request=HERO, callback=lambda _: None).get(10)
            return weakref.ref(client._runtime)

    clients = [use() for _ in range(5)]
    deadline = time.monotonic() + 60
    while any(client() is not None for client in clients) and time.monotonic() < deadline:
        gc.collect()  # ending threads can still refer to their client
    assert [client() for client in clients] == [None] * 5


@pytest.mark.slow
@pytest.mark.parametrize("times", [200, *slow(800)])
def test_requests_leak_no_memory(times: int, target: Target) -> None:
    with TargetClient.create(reach(target)) as client:

        def ask(number: int) -> Any:
            target.requests.clear()
            return client.get_offers({"request": HERO, "session_id": f"s{number}"})

        assert growth(ask, times) < 100_000


def test_64_threads_share_a_client(target: Target) -> None:
    wrong, sent = use_from_threads(target, threads=64, calls=12)
    assert wrong == 0
    assert sent == 64 * 9 == len({one["id"] for one in target.notifications})
    assert target.connections <= 16 + 1


def test_client_closed_by_many_threads_is_closed_once(target: Target) -> None:
    options = {**reach(target), "decisioning_method": "on-device", "artifact_payload": artifact()}
    client = TargetClient.create(options, polling_interval=0)
    for _ in range(20):
        client.get_offers(request=HERO)
    together = threading.Barrier(8)
    failures: list[BaseException] = []

    def close() -> None:
        together.wait(10)
        try:
            client.close(10)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=close) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert client.stats().notifications.sent == 20
