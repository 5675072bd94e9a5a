"""Targetry as a contestant of `wire.py` that decides on device and really sends its impressions.

Each command checks the ledger while it runs, and that all is sent or dropped in the end.
"""

from __future__ import annotations

import gc
import logging
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from measure import percentile
from run_targetry import main
from run_wire import delivery_request, options
from scenarios import activity, artifact

SMALL_QUEUE = 1_000
_TICK_S = 0.001
_FLUSH_S = 20.0


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

    Calls come in bursts of `size`, and there is time to send between them: more than can be sent is for `burst`.
    """
    sending, silent = on_device(command["port"]), on_device(command["port"])
    silent._runtime.notifier.submit = lambda source: True  # no option leaves a decision unreported
    call_options = {"request": delivery_request(), "session_id": "s"}
    calls = [
        ("sending", partial(sending.get_offers, call_options)),
        ("silent", partial(silent.get_offers, call_options)),
    ]
    books, bursts = Books(sending), {name: list[Burst]() for name, _ in calls}
    with sending, silent:
        for _ in range(command["bursts"]):
            calls.reverse()  # what runs after the other's sending finds another cache
            for name, call in calls:
                bursts[name].append(_burst(call, command["size"]))
                books.read()
                time.sleep(command["pause_s"])
        ledger = books.settle(command["bursts"] * command["size"])
    late = command["bursts"] // 10  # the first ones open connections and fill caches
    found = {name: measured[late:] for name, measured in bursts.items()}
    return {
        **{f"{name}_us": statistics.median(one.wall_us for one in found[name]) for name in found},
        "ledger": ledger,
        "readings": books.readings,
    }


class Burst(NamedTuple):
    """Microseconds: of a call on average, and of each."""

    wall_us: float
    each_us: list[float]


def _burst(call: Callable[[], object], size: int) -> Burst:
    each: list[float] = []
    clock = time.perf_counter
    last = started = clock()
    for _ in range(size):
        call()
        now = clock()
        each.append((now - last) * 1e6)
        last = now
    return Burst((last - started) / max(size, 1) * 1e6, each)


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
    return {"per_s": sent / seconds, "cpu_us": cpu / sent * 1e6, "ledger": ledger, "readings": books.readings}


def steady(command: dict[str, Any]) -> dict[str, Any]:
    """Decide `rate` times a second for some seconds, evenly. Tells what was pending in the middle and at the end."""
    call_options = {"request": delivery_request(), "session_id": "s"}
    rate, seconds = command["rate"], command["seconds"]
    with on_device(command["port"]) as client:
        books, in_the_middle = Books(client), None
        each: list[float] = []
        client.get_offers(call_options)
        client.flush(_FLUSH_S)
        started, cpu = time.perf_counter(), time.process_time()
        while (passed := time.perf_counter() - started) < seconds:
            each += _burst(lambda: client.get_offers(call_options), int(passed * rate) - len(each)).each_us
            pending = books.read().pending
            if in_the_middle is None and passed > seconds / 2:
                in_the_middle = pending
            time.sleep(_TICK_S)
        took, cpu = time.perf_counter() - started, time.process_time() - cpu
        at_the_end = books.read()
        ledger = books.settle(len(each) + 1)
    return {
        "made": len(each),
        "per_s": len(each) / took,
        "share": cpu / took,
        "pending": (in_the_middle or 0, at_the_end.pending),
        "call_median_us": statistics.median(each),
        "call_p99_us": percentile(each, 0.99),
        "ledger": ledger,
        "readings": books.readings,
    }


def burst(command: dict[str, Any]) -> dict[str, Any]:
    """Impressions as fast as they come, many more than the queue holds: by deciding, and handed straight to the notifier."""
    call_options = {"request": delivery_request(), "session_id": "s"}
    logging.disable()  # that much is dropped is the purpose
    with on_device(command["port"], notification_queue_limit=SMALL_QUEUE) as client:
        books, notifier = Books(client), client._runtime.notifier
        submit = notifier.submit
        costs: list[float] = []
        kept: list[Any] = []
        clock = time.perf_counter

        def timed(delivery: Any) -> Any:
            started = clock()
            accepted = submit(delivery)
            costs.append((clock() - started) * 1e6)
            if len(kept) < SMALL_QUEUE:
                kept.append(delivery)
            return accepted

        notifier.submit = timed
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
        "deciding": {**decided, "call_p99_us": percentile(deciding.each_us, 0.99)},
        "offering": {**_costs(costs), "per_ms": per_ms},
        "ledger": ledger,
        "readings": books.readings,
    }


def _costs(costs: list[float]) -> dict[str, float]:
    return {
        "median_us": statistics.median(costs),
        "p99_us": percentile(costs, 0.99),
        "p999_us": percentile(costs, 0.999),
        "most_us": max(costs),
    }


if __name__ == "__main__":
    main({"added": added, "drain": drain, "steady": steady, "burst": burst})
