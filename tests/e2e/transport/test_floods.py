"""Endless responses: the call ends at its deadline, and the event loop keeps running."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from servers.certificates import Authority
from servers.flood import FLOODS, Flood
from support.garbage import no_collections
from support.late import LATE_S
from targetry import AsyncTargetClient, TargetClient
from targetry.errors import TransportError

_TIMEOUT_S = 0.15
# Processor time of the loop on a slow machine; the aim is 0.01. asyncio decrypts one read of
# 256 KiB, 11,000 records of a byte, in one iteration.
_HELD_S = 0.1
_REQUEST = {"context": {"channel": "web"}, "execute": {"mboxes": [{"index": 0, "name": "hero"}]}}


def options(server: Flood, **more: Any) -> dict[str, Any]:
    host = "localhost" if server.url.startswith("https") else "127.0.0.1"
    return {
        "client": "acme",
        "organization_id": "1@AdobeOrg",
        "server_domain": f"{host}:{server.port}",
        "secure": server.url.startswith("https"),
        "timeout": int(_TIMEOUT_S * 1000),
        "trust_env": False,
        **more,
    }


async def longest_turn(stopped: asyncio.Event) -> float:
    """Return the longest processor time in seconds of one iteration of the loop."""
    longest, before = 0.0, time.thread_time()
    while not stopped.is_set():
        await asyncio.sleep(0)
        now = time.thread_time()
        longest, before = max(longest, now - before), now
    return longest


def check_async(server: Flood, **more: Any) -> None:
    async def main() -> None:
        async with await AsyncTargetClient.create(options(server, **more)) as client:
            stopped = asyncio.Event()
            watch = asyncio.create_task(longest_turn(stopped))
            await asyncio.sleep(0)
            started = time.monotonic()
            with pytest.raises(TransportError):
                await client.get_offers(request=_REQUEST)
            took = time.monotonic() - started
            stopped.set()
            held = await watch
            assert took < LATE_S
            assert held < _HELD_S

    with no_collections():
        asyncio.run(main())


def check_blocking(server: Flood, **more: Any) -> None:
    with TargetClient.create(options(server, **more)) as client:
        started = time.monotonic()
        with pytest.raises(TransportError):
            client.get_offers(request=_REQUEST)
        assert time.monotonic() - started < LATE_S


@pytest.mark.parametrize("check", [check_blocking, check_async], ids=["blocking", "asyncio"])
@pytest.mark.parametrize("flood", FLOODS)
def test_flood_ends_at_the_deadline(flood: str, check: Any) -> None:
    with Flood(*FLOODS[flood]) as server:
        check(server)


@pytest.mark.parametrize("flood", ["chunks-of-a-byte", "endless-body"])
def test_blocking_call_in_a_flood_of_tiny_tls_records_ends_at_the_deadline(
    authority: Authority, flood: str
) -> None:
    with Flood(*FLOODS[flood], size=1, tls=authority.server("localhost")) as server:
        check_blocking(server, ca_bundle=authority.bundle)


@pytest.mark.parametrize("flood", ["chunks-of-a-byte", "endless-body"])
def test_asyncio_call_in_a_flood_of_tiny_tls_records_ends_at_the_deadline(
    authority: Authority, flood: str
) -> None:
    with Flood(*FLOODS[flood], size=1, tls=authority.server("localhost")) as server:
        check_async(server, ca_bundle=authority.bundle)
