"""Contestants of `wire.py`: Targetry and its transports, one JSON line per command.

Each command has a limit of calls or time, and connects only to 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from operator import truediv
from statistics import median
from typing import Any

from measure import by_turns, percentile
from run_targetry import main
from scenarios import request

_TICK_S = 0.002


def options(port: int, **more: Any) -> dict[str, Any]:
    """Return the options of a client that uses only the benchmark's server."""
    return {
        "client": "acme",
        "organization_id": "ABC@AdobeOrg",
        "server_domain": f"127.0.0.1:{port}",
        "secure": False,
        "timeout": 30_000,  # long enough for a busy machine
        **more,
    }


def asked() -> dict[str, Any]:
    """Return a request of one mbox as wire JSON."""
    return request(execute={"mboxes": [{"name": "hero", "index": 1, "parameters": {"plan": "gold"}}]})


# ── one after the other ───


def sequential(command: dict[str, Any]) -> dict[str, Any]:
    """Measure `get_offers` and `HttpTransport.send` of the same bytes in turns on one transport."""
    from targetry import TargetClient
    from targetry.http import HttpTransport

    transport = HttpTransport()
    sent = captured(command["port"], transport)
    call_options = {"request": delivery_request(), "session_id": "s"}
    with TargetClient.create(options(command["port"], transport=transport)) as client:
        answer = client.get_offers(call_options)["response"]
        timings = by_turns(
            {
                "get_offers": lambda: client.get_offers(call_options),
                "transport": lambda: transport.send(sent, timeout=30, max_bytes=1 << 26),
            },
            command,
        )
    transport.close()
    return {"timings": timings, "content": answer.execute.mboxes[0].options[0].content}


def captured(port: int, transport: Any) -> Any:
    """Return the request that `get_offers` sends, with the telemetry of the previous call."""
    from targetry import TargetClient

    recorder = Recorder(transport)
    with TargetClient.create(options(port, transport=recorder)) as client:
        for _ in range(2):
            client.get_offers({"request": delivery_request(), "session_id": "s"})
    return recorder.request


class Recorder:
    """A transport that records the last request and forwards it."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self.request: Any = None

    def send(self, request: Any, **keywords: Any) -> Any:
        self.request = request
        return self._transport.send(request, **keywords)

    def close(self) -> None:
        pass


def delivery_request() -> Any:
    from targetry import DeliveryRequest

    return DeliveryRequest.from_json(json.dumps(asked()))


# ── asyncio ───


def concurrent(command: dict[str, Any]) -> dict[str, Any]:
    return asyncio.run(_concurrent(command))


async def _concurrent(command: dict[str, Any]) -> dict[str, Any]:
    """Measure `tasks` callers that call without pause on one event loop."""
    from targetry import AsyncTargetClient
    from targetry.http import AsyncHttpTransport, HttpTransport

    port, limit = command["port"], command["connections"]
    transport = AsyncHttpTransport(max_connections=limit)
    if command["bare"]:
        blocking = HttpTransport()
        sent = captured(port, blocking)
        blocking.close()
        windows = await _windows(lambda: transport.send(sent, timeout=30, max_bytes=1 << 26), command)
    else:
        call_options = {"request": delivery_request(), "session_id": "s"}
        async with await AsyncTargetClient.create(options(port, async_transport=transport)) as client:
            windows = await _windows(lambda: client.get_offers(call_options), command)
    await transport.aclose()
    return {"windows": windows}


async def _windows(call: Callable[[], Awaitable[object]], command: dict[str, Any]) -> list[dict[str, float]]:
    """Return the calls completed in each time window, after a window for warm-up."""
    done, stop = 0, False
    lags: list[float] = []

    async def caller() -> None:
        nonlocal done
        while not stop:
            await call()
            done += 1
            # A response from loopback is often there before the call waits, which then does not
            # yield; without this, one caller makes hundreds of calls in a row.
            await asyncio.sleep(0)

    async def clock() -> None:
        while not stop:
            due = time.perf_counter() + _TICK_S
            await asyncio.sleep(_TICK_S)
            lags.append(time.perf_counter() - due)

    tasks = [asyncio.ensure_future(task) for task in (clock(), *(caller() for _ in range(command["tasks"])))]
    await asyncio.sleep(command["warm_up_s"])
    windows: list[dict[str, float]] = []
    for _ in range(command["windows"]):
        before, started, cpu = done, time.perf_counter(), time.process_time()
        lags.clear()
        await asyncio.sleep(command["seconds"])
        count, seconds, cpu = done - before, time.perf_counter() - started, time.process_time() - cpu
        windows.append(
            {
                "per_s": count / seconds,
                "cpu_us": cpu / count * 1e6,
                "share": cpu / seconds,
                "lag_p99_ms": percentile(lags or [seconds], 0.99) * 1000,
            }
        )
    stop = True
    await asyncio.gather(*tasks)
    return windows


def next_to_aiohttp(command: dict[str, Any]) -> dict[str, Any]:
    return asyncio.run(_next_to_aiohttp(command))


async def _next_to_aiohttp(command: dict[str, Any]) -> dict[str, Any]:
    """Measure `get_offers` and aiohttp with the same bytes in turns, by `tasks` callers each."""
    import aiohttp

    from targetry import AsyncTargetClient
    from targetry.http import HttpTransport

    blocking = HttpTransport()
    sent = captured(command["port"], blocking)
    blocking.close()
    call_options = {"request": delivery_request(), "session_id": "s"}
    async with (
        await AsyncTargetClient.create(options(command["port"])) as client,
        aiohttp.ClientSession() as session,
    ):

        async def post() -> None:
            async with session.post(sent.url, data=sent.body, headers=sent.headers) as response:
                await response.read()

        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "get_offers": lambda: client.get_offers(call_options),
            "aiohttp": post,
        }
        turns: dict[str, list[float]] = {name: [] for name in calls}
        for call in calls.values():
            await _batch_us(call, command)  # which opens the connections
        end = time.perf_counter() + command["seconds"]
        while time.perf_counter() < end or not all(turns.values()):
            for name, call in calls.items():
                turns[name].append(await _batch_us(call, command))
    return {
        "us": {name: min(found) for name, found in turns.items()},
        "ratio": median(map(truediv, turns["get_offers"], turns["aiohttp"])),
        "turns": len(turns["aiohttp"]),
    }


async def _batch_us(call: Callable[[], Awaitable[object]], command: dict[str, Any]) -> float:
    """Return the processor time in microseconds of one of `size` calls by `tasks` callers."""
    left = command["size"]

    async def caller() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await call()
            await asyncio.sleep(0)  # as in `_windows`

    started = time.process_time()
    await asyncio.gather(*(caller() for _ in range(command["tasks"])))
    return (time.process_time() - started) / command["size"] * 1e6


if __name__ == "__main__":
    main({"sequential": sequential, "concurrent": concurrent, "next_to_aiohttp": next_to_aiohttp})
