"""Scenarios for leaks in a long-lived program, for `test_lasting` and the soak tests."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from e2e.client.conftest import reach
from e2e.client.target import Target, artifact
from targetry import (
    AsyncTargetClient,
    DeliveryRequest,
    ExecuteRequest,
    MboxRequest,
    PrefetchRequest,
    TargetClient,
)

HERO = DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="hero")]))
LOOK = DeliveryRequest(prefetch=PrefetchRequest(mboxes=[MboxRequest(name="hero")]))


def open_files() -> int:
    """Return the number of open files, pipes and sockets of this process."""
    return len(os.listdir("/proc/self/fd"))


def own_threads(but: set[threading.Thread]) -> set[threading.Thread]:
    """Return the threads started since `but`, without those of test servers."""
    return {one for one in threading.enumerate() if one not in but and not one.name.startswith("test-server")}


def leaks(work: Callable[[], None], target: Target) -> tuple[int, set[threading.Thread]]:
    """Return the number of additional open files, and the additional threads, after some work."""
    threads = set(threading.enumerate())
    _settle(target)
    files = open_files()
    work()
    _settle(target)
    deadline = time.monotonic() + 60
    while (own_threads(threads) or open_files() > files) and time.monotonic() < deadline:
        time.sleep(0.01)  # a thread is still ending
    return open_files() - files, own_threads(threads)


def _settle(target: Target) -> None:
    gc.collect()
    deadline = time.monotonic() + 60
    while target.open_connections and time.monotonic() < deadline:
        time.sleep(0.01)
        gc.collect()  # a thread that was ending referred to its client
    assert target.open_connections == 0


def server_side(target: Target) -> None:
    with TargetClient.create(reach(target)) as client:
        client.get_offers(request=HERO)


def on_device(target: Target, cache: Path | None = None) -> None:
    options = {**reach(target), "decisioning_method": "on-device", "cdn_base_path": target.url}
    with TargetClient.create(options, artifact_cache_dir=cache, polling_interval=1000) as client:
        client.get_offers(request=HERO)


def spooled(target: Target, folder: Path) -> None:
    options = {**reach(target), "decisioning_method": "on-device", "artifact_payload": artifact()}
    with TargetClient.create(options, polling_interval=0, notification_spool=folder) as client:
        client.get_offers(request=HERO)
        client.flush(10)


def with_callbacks(target: Target) -> None:
    with TargetClient.create(reach(target)) as client:
        client.get_offers(request=HERO, callback=lambda _: None).get(10)


def refused(target: Target) -> None:
    """Try to create a client with wrong options."""
    try:
        TargetClient.create({**reach(target), "decisioning_method": "on-device", "artifact_payload": "{"})
    except Exception:
        return
    raise AssertionError("the options were accepted")


async def awaited(target: Target) -> None:
    options = {**reach(target), "decisioning_method": "on-device", "cdn_base_path": target.url}
    async with await AsyncTargetClient.create(options) as client:
        await client.get_offers(request=HERO)
        await client.get_offers(request=HERO, decisioning_method="server-side")


async def cancelled(target: Target) -> None:
    """Cancel calls to `target`, which must hang."""
    async with await AsyncTargetClient.create(reach(target)) as client:
        for _ in range(3):
            task = asyncio.create_task(client.get_offers(request=HERO))
            await asyncio.sleep(0.002)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()


def growth(decide: Callable[[int], Any], times: int, settle: Callable[[], object] = bool) -> int:
    """Return the bytes by which memory grew between two halves of `times` decisions.

    `settle` is called before memory is measured.
    """
    half = times // 2
    for number in range(half):
        decide(number)
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(half // 4):
            decide(number)
        settle()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for number in range(half, times):
            decide(number)
        settle()
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


def use_from_threads(target: Target, threads: int, calls: int) -> tuple[int, int]:
    """Use one client in all ways in many threads; return wrong responses and impressions."""
    options = {**reach(target), "decisioning_method": "on-device", "cdn_base_path": target.url}
    with TargetClient.create(options, max_connections=16) as client:

        def work(number: int) -> int:
            wrong = 0
            for call in range(calls):
                session = f"s{number}-{call}"
                edge = (number + call) % 4 == 0
                method = "server-side" if edge else "on-device"
                result = client.get_offers(request=HERO, session_id=session, decisioning_method=method)
                title = result["response"].execute.mboxes[0].options[0].content["title"]
                wrong += title != ("remote hero" if edge else "first")
                wrong += not result["target_cookie"]["value"].startswith(f"session#{session}#")
            return wrong

        with ThreadPoolExecutor(threads) as pool:
            wrong = sum(pool.map(work, range(threads)))
        assert client.flush(30)
        stats = client.stats().notifications
        assert stats.accepted == stats.sent
        return wrong, stats.sent
