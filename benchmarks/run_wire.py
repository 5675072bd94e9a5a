"""Targetry and what is under it as contestants: answers the commands of `wire.py`, one JSON line each.

Every command is bounded in count or time, and talks to 127.0.0.1 only.
"""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from run_targetry import main
from scenarios import activity, artifact, request

QUEUE_LIMIT = 10_000  # the default
SMALL_QUEUE = 1_000
_TICK_S = 0.002
_FLUSH_S = 20.0


def options(port: int, **more: Any) -> dict[str, Any]:
    """Of a client that asks our server and nobody else."""
    return {
        "client": "acme",
        "organization_id": "ABC@AdobeOrg",
        "server_domain": f"127.0.0.1:{port}",
        "secure": False,
        "timeout": 30_000,  # a full machine is no failure
        **more,
    }


def asked() -> dict[str, Any]:
    """A request of one mbox, as wire JSON."""
    return request(execute={"mboxes": [{"name": "hero", "index": 1, "parameters": {"plan": "gold"}}]})


# ── one after the other ────────────────────────────────────────────────────────────────────────────────────────


def sequential(command: dict[str, Any]) -> dict[str, Any]:
    """`get_offers` and `HttpTransport.send` of the same bytes by turns, over the same transport."""
    from targetry import TargetClient
    from targetry.delivery.http import HttpTransport

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
    """The request that a `get_offers` sends, the telemetry of the one before included."""
    from targetry import TargetClient

    recorder = Recorder(transport)
    with TargetClient.create(options(port, transport=recorder)) as client:
        for _ in range(2):
            client.get_offers({"request": delivery_request(), "session_id": "s"})
    return recorder.request


class Recorder:
    """A transport that keeps the last request and lets another one send it."""

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


def by_turns(calls: dict[str, Callable[[], object]], command: dict[str, Any]) -> dict[str, Any]:
    """Microseconds of processor time, of this process, that a call takes: the best batch of each and the middle one.

    In turns, so that what else happens on the machine happens to all of them. Wall time would measure the server too.
    """
    size = command["size"]
    batches: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        for _ in range(size // 4):
            call()
    end = time.perf_counter() + command["seconds"]
    while time.perf_counter() < end or not all(batches.values()):
        for name, call in calls.items():
            batches[name].append(_processor_time(call, size) / size * 1e6)
    return {
        name: {"best_us": min(found), "median_us": statistics.median(found), "calls": len(found) * size}
        for name, found in batches.items()
    }


def _processor_time(call: Callable[[], object], size: int) -> float:
    started = time.process_time()
    for _ in range(size):
        call()
    return time.process_time() - started


# ── nothing but sockets: what any client pays, and what the server can do ──────────────────────────────────────


def bare_socket(command: dict[str, Any]) -> dict[str, Any]:
    """The same bytes written to a socket and the answer read from it, nothing looked at."""
    data = _wire_bytes(command["port"])
    with socket.create_connection(("127.0.0.1", command["port"])) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def call() -> None:
            sock.sendall(data)
            _read(sock, command["answer_bytes"])

        return {"timings": by_turns({"socket": call}, command)}


def flood(command: dict[str, Any]) -> dict[str, Any]:
    """All that the server can answer: the next request follows on each connection once its answer is there."""
    import selectors

    data, answer_bytes = _wire_bytes(command["port"]), command["answer_bytes"]
    selector = selectors.DefaultSelector()
    left: dict[socket.socket, int] = {}
    for _ in range(command["tasks"]):
        sock = socket.create_connection(("127.0.0.1", command["port"]))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(sock, selectors.EVENT_READ)
        sock.sendall(data)
        left[sock] = answer_bytes
    count, started, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - started < command["seconds"]:
        for key, _ in selector.select(1):
            sock = key.fileobj  # type: ignore[assignment]
            left[sock] -= len(sock.recv(65536))
            if not left[sock]:
                count += 1
                sock.sendall(data)
                left[sock] = answer_bytes
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    selector.close()
    for sock in left:
        sock.close()
    return {"per_s": count / seconds, "share": cpu / seconds}


def _wire_bytes(port: int) -> bytes:
    """A request with headers and body as the clients send them."""
    body = json.dumps(asked(), separators=(",", ":")).encode()
    head = (
        f"POST /rest/v1/delivery?imsOrgId=ABC%40AdobeOrg&sessionId=s HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        "User-Agent: socket\r\nAccept: application/json\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _read(sock: socket.socket, count: int) -> None:
    while count:
        data = sock.recv(65536)
        if not data:
            raise ConnectionError("the server hung up")
        count -= len(data)


# ── asyncio ────────────────────────────────────────────────────────────────────────────────────────────────────


def concurrent(command: dict[str, Any]) -> dict[str, Any]:
    return asyncio.run(_concurrent(command))


async def _concurrent(command: dict[str, Any]) -> dict[str, Any]:
    """`tasks` callers that ask without pause, on one event loop."""
    from targetry import AsyncTargetClient
    from targetry.delivery.http import AsyncHttpTransport, HttpTransport

    port, limit = command["port"], command["connections"]
    transport = AsyncHttpTransport(max_connections=limit)
    if command["bare"]:
        blocking = HttpTransport()
        sent = captured(command["at_once_port"], blocking)
        blocking.close()
        sent = type(sent)(
            sent.method,
            sent.url.replace(f":{command['at_once_port']}/", f":{port}/"),
            sent.headers,
            sent.body,
        )
        windows = await _windows(lambda: transport.send(sent, timeout=30, max_bytes=1 << 26), command)
    else:
        call_options = {"request": delivery_request(), "session_id": "s"}
        async with await AsyncTargetClient.create(options(port, async_transport=transport)) as client:
            windows = await _windows(lambda: client.get_offers(call_options), command)
    await transport.aclose()
    return {"windows": windows}


async def _windows(call: Callable[[], Awaitable[object]], command: dict[str, Any]) -> list[dict[str, float]]:
    """What went through in some stretches of time, after a first one that does not count."""
    done, lags, stop = 0, [0.0], False

    async def caller() -> None:
        nonlocal done
        while not stop:
            await call()
            done += 1

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
                "lag_p99_ms": percentile(lags, 0.99) * 1000,
            }
        )
    stop = True
    await asyncio.gather(*tasks)
    return windows


def percentile(values: Iterable[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


# ── impressions of on-device decisions ─────────────────────────────────────────────────────────────────────────


def on_device(port: int, **more: Any) -> Any:
    """A client that decides here, and reports each decision to the server."""
    from targetry import TargetClient

    local = {"decisioning_method": "on-device", "polling_interval": 0}
    return TargetClient.create(
        options(port, **local, artifact_payload=artifact([activity(1, "hero")]), **more)
    )


class Books:
    """Reads a client's ledger, again and again, and adds it up."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.readings = 0

    def read(self) -> Any:
        stats = self._client.stats().notifications
        if stats.accepted != stats.sent + stats.pending + sum(stats.dropped.values()):
            raise AssertionError(f"the ledger does not add up: {stats}")
        self.readings += 1
        return stats

    def settle(self, calls: int) -> dict[str, Any]:
        """Once all is sent; `calls` impressions were made."""
        self._client.flush(_FLUSH_S)
        stats = self.read()
        if stats.accepted != calls or stats.pending:
            raise AssertionError(f"{calls} impressions were made, the ledger has {stats}")
        return {"accepted": stats.accepted, "sent": stats.sent, "dropped": stats.dropped}


def added(command: dict[str, Any]) -> dict[str, Any]:
    """What a caller's `get_offers` takes, the notifier sending, beside one whose notifier is handed nothing.

    Calls come in bursts of `size`, and there is time to send between them.
    """
    sending, silent = on_device(command["port"]), on_device(command["port"])
    silent._machinery.notifier.offer = lambda delivery: True  # no option leaves a decision unreported
    call_options = {"request": delivery_request(), "session_id": "s"}
    books, calls = Books(sending), 0
    found: dict[str, dict[str, list[float]]] = {
        name: {"cpu": [], "wall": [], "each": []} for name in ("sending", "silent")
    }
    with sending, silent:
        for _ in range(200):
            silent.get_offers(call_options)
        for number in range(command["bursts"]):
            for name, client in (("sending", sending), ("silent", silent)):
                burst = _burst(lambda client=client: client.get_offers(call_options), command["size"])  # type: ignore[misc]
                if number > command["bursts"] // 10:  # the first ones open connections and fill caches
                    for key, values in burst.items():
                        found[name][key] += values
                time.sleep(command["pause_s"])
            calls += command["size"]
            books.read()
        ledger = books.settle(calls)
    return {
        **{
            name: {
                "cpu_us": statistics.median(values["cpu"]),
                "cpu_best_us": min(values["cpu"]),
                "wall_us": statistics.median(values["wall"]),
                "p99_us": percentile(values["each"], 0.99),
            }
            for name, values in found.items()
        },
        "ledger": ledger,
        "readings": books.readings,
    }


def _burst(call: Callable[[], object], size: int) -> dict[str, list[float]]:
    """Microseconds a call: of this thread's processor time, by the clock, and each single one by the clock."""
    each: list[float] = []
    clock = time.perf_counter
    cpu = time.thread_time()
    last = started = clock()
    for _ in range(size):
        call()
        now = clock()
        each.append((now - last) * 1e6)
        last = now
    wall, cpu = (last - started) / size * 1e6, (time.thread_time() - cpu) / size * 1e6
    return {"cpu": [cpu], "wall": [wall], "each": each}


def drain(command: dict[str, Any]) -> dict[str, Any]:
    """How fast impressions are sent while nobody decides, and the processor time of one."""
    call_options = {"request": delivery_request(), "session_id": "s"}
    with on_device(command["port"]) as client:
        books = Books(client)
        for _ in range(50):
            client.get_offers(call_options)
        client.flush(_FLUSH_S)
        for _ in range(command["count"]):
            client.get_offers(call_options)
        before, started, cpu = books.read(), time.perf_counter(), time.process_time()
        client.flush(command["seconds"])
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        sent = books.read().sent - before.sent
        ledger = books.settle(command["count"] + 50)
    return {"per_s": sent / seconds, "cpu_us": cpu / sent * 1e6, "share": cpu / seconds, "ledger": ledger}


def steady(command: dict[str, Any]) -> dict[str, Any]:
    """Decide `rate` times a second for some seconds. What is pending at the half and at the end shows whether that can go on."""
    call_options = {"request": delivery_request(), "session_id": "s"}
    rate, seconds = command["rate"], command["seconds"]
    with on_device(command["port"], notification_queue_limit=QUEUE_LIMIT) as client:
        books, made, half = Books(client), 0, None
        client.get_offers(call_options)
        client.flush(_FLUSH_S)
        started, cpu = time.perf_counter(), time.process_time()
        while (passed := time.perf_counter() - started) < seconds:
            for _ in range(int(passed * rate) - made):
                client.get_offers(call_options)
                made += 1
            pending = books.read().pending
            if half is None and passed > seconds / 2:
                half = pending
            time.sleep(0.001)
        took, cpu = time.perf_counter() - started, time.process_time() - cpu
        at_end = books.read()
        ledger = books.settle(made + 1)
    return {
        "per_s": made / took,
        "share": cpu / took,
        "pending": at_end.pending,
        "pending_at_half": half,
        "ledger": ledger,
        "readings": books.readings,
    }


def burst(command: dict[str, Any]) -> dict[str, Any]:
    """Impressions as fast as they come, many more than the queue holds: by deciding, and handed straight to the notifier."""
    call_options = {"request": delivery_request(), "session_id": "s"}
    with on_device(command["port"], notification_queue_limit=SMALL_QUEUE) as client:
        books, notifier = Books(client), client._machinery.notifier
        offer, costs, kept = notifier.offer, [], []
        clock = time.perf_counter

        def timed(delivery: Any) -> Any:
            started = clock()
            accepted = offer(delivery)
            costs.append((clock() - started) * 1e6)
            if len(kept) < SMALL_QUEUE:
                kept.append(delivery)
            return accepted

        notifier.offer = timed
        client.get_offers(call_options)
        client.flush(_FLUSH_S)
        costs.clear()
        gc.collect()
        deciding = _burst(lambda: client.get_offers(call_options), command["decisions"])
        books.read()
        decided = _costs(costs)
        client.flush(_FLUSH_S)
        costs.clear()
        started = clock()
        for number in range(command["offers"]):
            timed(kept[number % len(kept)])
        per_ms = command["offers"] / (clock() - started) / 1000
        books.read()
        ledger = books.settle(1 + command["decisions"] + command["offers"])
    return {
        "deciding": {**decided, "call_p99_us": percentile(deciding["each"], 0.99)},
        "offering": {**_costs(costs), "per_ms": per_ms},
        "ledger": ledger,
    }


def _costs(costs: list[float]) -> dict[str, float]:
    return {
        "median_us": statistics.median(costs),
        "p99_us": percentile(costs, 0.99),
        "p999_us": percentile(costs, 0.999),
        "most_us": max(costs),
    }


if __name__ == "__main__":
    main(
        {
            "sequential": sequential,
            "bare_socket": bare_socket,
            "flood": flood,
            "concurrent": concurrent,
            "added": added,
            "drain": drain,
            "steady": steady,
            "burst": burst,
        }
    )
