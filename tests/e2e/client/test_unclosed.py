"""Unclosed clients: their connections are closed when they are collected, with one warning."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from e2e.client.conftest import reach
from e2e.client.target import Target
from support.late import LATE_S
from targetry import AsyncTargetClient, DeliveryRequest, ExecuteRequest, MboxRequest, TargetClient

pytestmark = pytest.mark.usefixtures("no_older_garbage")
HERO = DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="hero")]))

Use = Callable[[dict[str, Any]], None]


def ask(options: dict[str, Any]) -> None:
    client = TargetClient.create(options)
    client.get_offers(request=HERO)
    client.get_offers(request=HERO, callback=lambda _: None).get(10)
    client.flush(10)


def ask_with_await(options: dict[str, Any]) -> None:
    async def use() -> None:
        client = await AsyncTargetClient.create(options)
        await client.get_offers(request=HERO)
        await client.flush(10)
        for thread in threading.enumerate():
            if thread.name == "targetry-wait":  # has made the client, and holds it until the thread ends
                thread.join(LATE_S)

    asyncio.run(use())


def create(options: dict[str, Any]) -> None:
    TargetClient.create(options)


def close(options: dict[str, Any]) -> None:
    with TargetClient.create(options) as client:
        client.get_offers(request=HERO)


def warned(use: Use, target: Target, **options: Any) -> list[str]:
    """Return the warnings of a program that uses a client and drops it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        use({**reach(target), "cdn_base_path": target.url, **options})
        gc.collect()
    target.wait_until(lambda: target.open_connections == 0)
    assert {one.category for one in caught} <= {ResourceWarning}
    return [str(one.message) for one in caught]


@pytest.mark.parametrize("method", ["server-side", "hybrid"])
@pytest.mark.parametrize(("use", "kind"), [(ask, "TargetClient"), (ask_with_await, "AsyncTargetClient")])
def test_unclosed_client_with_open_connections_warns_once(
    use: Use, kind: str, method: str, target: Target
) -> None:
    message = f"unclosed {kind} of client 'acme': use it in a with statement, or close it"
    assert warned(use, target, decisioning_method=method) == [message]


@pytest.mark.parametrize("use", [ask, ask_with_await])
def test_unclosed_client_on_device_does_not_warn(use: Use, target: Target) -> None:
    """Check code for `target-python-sdk`, which has no `close`."""
    assert warned(use, target, decisioning_method="on-device") == []


@pytest.mark.parametrize("use", [create, close])
def test_closed_or_unused_client_does_not_warn(use: Use, target: Target) -> None:
    assert warned(use, target) == []


def test_client_with_invalid_options_does_not_warn(target: Target) -> None:
    def refused(options: dict[str, Any]) -> None:
        with pytest.raises(Exception, match="must be"):
            TargetClient.create({**options, "timeout": "soon"})
        with pytest.raises(Exception, match="static method"):
            TargetClient()

    assert warned(refused, target) == []
