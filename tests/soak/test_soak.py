"""Scenarios of `tests/e2e/client/test_lasting.py` at a scale that shows slow leaks and rare races.

    TARGETRY_SOAK=1 pytest tests/soak                     # some minutes
    TARGETRY_SOAK=10 pytest tests/soak -k decisions       # ten times as long

Each test prints its number with `-s`.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from _client.test_long_faults import check_an_hour_without_endpoint
from e2e.client import lasting
from e2e.client.conftest import reach
from e2e.client.lasting import HERO, LOOK, growth, leaks, use_from_threads
from e2e.client.target import ARTIFACT, DELIVERY, Target, artifact, artifact_answer, offers
from servers.faulty import HANG, Behaviour, Close, answer, half, html_answer, json_answer
from support.background_fakes import REFUSED, Lines
from support.notifier import ADDRESS, OK, build_request, delivery, ids_in
from support.python_process import environment
from support.shared_folder import LARGEST, read_while_another_writes
from targetry import ApiException, AsyncTargetClient, TargetClient
from targetry.artifacts.disk_cache import DiskCache
from targetry.delivery.clusters import ClusterDirectory
from targetry.http.protocol import HttpRequest, HttpResponse
from targetry.notifications.notifier import Notifier

SCALE = int(os.environ.get("TARGETRY_SOAK") or 1)
MIB = 1024 * 1024


@pytest.fixture
def target() -> Iterator[Target]:
    with Target() as target:
        yield target


def resident() -> int:
    """Return the resident memory of this process in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def say(what: str, number: object) -> None:
    sys.stdout.write(f"\n{what}: {number}\n")


CYCLES: dict[str, Callable[[Target, Path], None]] = {
    "server-side": lambda target, _: lasting.server_side(target),
    "on-device": lambda target, _: lasting.on_device(target),
    "on-device with a cache": lasting.on_device,
    "spooled": lasting.spooled,
    "callbacks": lambda target, _: lasting.with_callbacks(target),
    "asyncio": lambda target, _: asyncio.run(lasting.awaited(target)),
}


@pytest.mark.parametrize("scenario", CYCLES.values(), ids=CYCLES)
def test_10000_closed_clients_leave_no_file_or_thread(
    scenario: Callable[[Target, Path], None], target: Target, tmp_path: Path
) -> None:
    """Run 10,000 clients in total; fewer of them have a disk cache."""
    times = SCALE * (300 if scenario in (lasting.spooled, lasting.on_device) else 2350)
    scenario(target, tmp_path)
    grown: list[int] = []

    def work() -> None:
        for number in range(times):
            scenario(target, tmp_path)
            target.forget()
            if number in (times // 2, times - 1):
                grown.append(resident())

    assert leaks(work, target) == (0, set())
    say("bytes grown in the second half", grown[1] - grown[0])
    assert grown[1] - grown[0] < 4 * MIB


def test_200000_decisions_leak_no_memory() -> None:
    options = {"client": "acme", "organization_id": "A@AdobeOrg", "decisioning_method": "on-device"}
    with TargetClient.create(options, artifact_payload=artifact(), polling_interval=0) as client:

        def decide(number: int) -> Any:
            return client.get_offers({"request": LOOK, "session_id": f"s{number}"})

        grown = growth(decide, 200_000 * SCALE)
    say("bytes grown in 100,000 decisions", grown)
    assert grown < 200_000


def test_decisions_and_reports_under_faults_are_counted_exactly(target: Target) -> None:
    """Check for losses, duplicates and leaks, with a changing artifact and 1 % of faults."""
    faults: list[Behaviour] = [
        answer(500),
        answer(503, headers={"Retry-After": "0"}),
        (Close(),),
        (Close(reset=True),),
        half(json_answer({"status": 200}), Close()),
        html_answer(200),
    ]
    chance = random.Random(1)

    def flaky(received: Any) -> Any:
        if chance.random() < 0.01:
            fault = chance.choice(faults)
            return fault(received) if callable(fault) else fault
        return offers(received)

    target.on(DELIVERY, flaky)
    versions = [
        artifact_answer(artifact(f"v{n}", generated_at=f"2026-01-{n + 1:02d}T00:00:00Z")) for n in range(28)
    ]
    target.on(ARTIFACT, *versions)
    options = {
        **reach(target),
        "decisioning_method": "on-device",
        "cdn_base_path": target.url,
        "polling_interval": 1000,
    }
    deadline = time.monotonic() + 30 * SCALE
    counts = {"decided": 0, "asked": 0, "failed": 0}
    with TargetClient.create(options) as client:
        lock = threading.Lock()

        def work() -> None:
            mine = dict.fromkeys(counts, 0)
            while time.monotonic() < deadline:
                client.get_offers({"request": HERO})
                mine["decided"] += 1
                if mine["decided"] % 20 == 0:
                    try:
                        client.get_offers({"request": HERO, "decisioning_method": "server-side"})
                        mine["asked"] += 1
                    except ApiException:
                        mine["failed"] += 1
                time.sleep(0.05)
            with lock:
                for name, number in mine.items():
                    counts[name] += number

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert client.flush(60)
        stats = client.stats()
    say("counts", counts)
    notifications = stats.notifications
    assert (
        notifications.accepted
        == counts["decided"]
        == notifications.sent + sum(notifications.dropped.values())
    )
    assert notifications.dropped == {}
    received = {one["id"] for one in target.notifications}
    assert len(received) == counts["decided"]
    assert stats.artifact is not None
    assert stats.artifact.retrieval_count > 5


def test_calls_of_1000_threads_on_one_client(target: Target) -> None:
    wrong, sent = use_from_threads(target, threads=64, calls=160 * SCALE)
    say("impressions", sent)
    assert wrong == 0
    assert target.connections <= 17


def test_calls_cancelled_at_any_moment_leave_no_file_or_thread(target: Target) -> None:
    """Cancel ten thousand calls at different points."""
    target.on(DELIVERY, offers)
    chance = random.Random(2)

    async def main() -> None:
        async with await AsyncTargetClient.create(reach(target), max_connections=8) as client:
            for _ in range(100 * SCALE):
                tasks = [asyncio.create_task(client.get_offers(request=HERO)) for _ in range(100)]
                await asyncio.sleep(chance.random() * 0.02)
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
                target.forget()
            result = await client.get_offers(request=HERO)
            assert result["response"].status == 200

    asyncio.run(main())
    assert leaks(lambda: asyncio.run(main()), target) == (0, set())


_FORKS = """
import os, sys, threading
from targetry import TargetClient
from targetry.models import DeliveryRequest, ExecuteRequest, MboxRequest
host, times = sys.argv[1], int(sys.argv[2])
client = TargetClient.create(
    client="acme", organization_id="A@AdobeOrg", server_domain=host, secure=False, trust_env=False, timeout=10_000,
    cdn_base_path=f"http://{host}", decisioning_method="on-device", polling_interval=1000,
)
request = DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="hero")]))
over = threading.Event()
def work():
    while not over.is_set():
        client.get_offers(request=request, session_id="parent")
        client.get_offers(request=request, session_id="asked", decisioning_method="server-side")
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for _ in range(times):
    pid = os.fork()
    if pid == 0:
        client.get_offers(request=request, session_id="child")
        client.get_offers(request=request, session_id="asked", decisioning_method="server-side")
        client.close(10)
        os._exit(0 if client.stats().notifications.sent == 1 else 3)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        print("child:", status, flush=True)
        os._exit(1)
over.set()
for thread in threads:
    thread.join()
client.close(30)
stats = client.stats().notifications
assert stats.accepted == stats.sent, stats
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_1000_forks_during_calls_polls_and_reports_block_no_process(target: Target) -> None:
    times = 1000 * SCALE
    command = [sys.executable, "-W", "ignore", "-c", _FORKS, target.host, str(times)]
    subprocess.run(command, env=environment(), check=True, timeout=600 * SCALE)
    ids = [one["id"] for one in target.notifications]
    assert len(ids) == len(set(ids))
    assert sum("sessionId=child" in received.target for received in target.requests) == times


def test_hanging_endpoint_uses_bounded_memory(target: Target) -> None:
    """Make 200,000 decisions whose reports are not accepted."""
    target.on(DELIVERY, HANG)
    options = {**reach(target), "decisioning_method": "on-device", "artifact_payload": artifact()}
    options |= {"polling_interval": 0, "notification_queue_limit": 1000, "telemetry_enabled": False}
    with TargetClient.create(options) as client:
        grown = growth(lambda _: client.get_offers(request=HERO), 200_000 * SCALE)
        stats = client.stats().notifications
        assert stats.pending == 1000
        assert stats.accepted == stats.pending + stats.dropped["queue_full"]
        client.close(0)
    say("bytes grown in 100,000 decisions", grown)
    assert grown < MIB


def test_reports_of_an_hour_without_endpoint_are_sent_afterwards() -> None:
    """Use a simulated clock."""
    check_an_hour_without_endpoint(decisions_per_s=200)


class Api:
    """A transport to an endpoint that is down, then up; it counts notifications."""

    def __init__(self) -> None:
        self.is_up = False
        self.received: Counter[str] = Counter()
        self._counting = threading.Lock()

    def send(self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None) -> HttpResponse:
        if not self.is_up:
            raise REFUSED
        with self._counting:
            self.received.update(ids_in(request.body))
        return OK

    def close(self) -> None: ...


def test_spooled_reports_of_an_hour_without_endpoint_are_all_sent(tmp_path: Path) -> None:
    """Write an hour of 200 decisions a second to a spool; none is lost or sent twice."""
    total = 720_000 * SCALE
    api = Api()
    notifier = Notifier(
        api,
        address=ADDRESS,
        build_request=build_request,
        clusters=ClusterDirectory(time.monotonic),
        headers={},
        timeout_s=3.0,
        emit=lambda *_, **__: None,
        log=Lines(),
        spool_path=tmp_path,
    )
    try:
        before = resident()
        for number in range(total):
            notifier.submit(delivery(str(number)))
            if number % 1000 == 0:
                threading.Event().wait(0.05)  # for the spool's writer, which has enough time in a real hour
        grown = resident() - before
        stats = notifier.stats()
        assert (stats.accepted, stats.pending, stats.dropped) == (total, total, {})
        api.is_up = True
        assert notifier.flush(600 * SCALE)
        stats = notifier.stats()
        assert (stats.accepted, stats.sent, stats.dropped) == (total, total, {})
        assert api.received == Counter(str(number) for number in range(total))
    finally:
        notifier.close(0)
    say("bytes grown while 720,000 deliveries were written to the disk", grown)
    assert grown < 64 * MIB


def test_100000_reads_of_a_constantly_replaced_copy_see_no_partial_one(tmp_path: Path) -> None:
    """Read in this process while another one writes."""
    emitted: list[str] = []
    url = "https://cdn.example/rules.json"
    cache = DiskCache(tmp_path, url, max_bytes=LARGEST, warn=lambda kind, text: emitted.append(text))
    copies = read_while_another_writes(cache, url, reads=100_000 * SCALE, copies=1000, within_s=600 * SCALE)
    say("copies seen", copies)
    assert emitted == []
