"""Contestant of `wire.py`: Targetry with on-device decisions whose impressions are sent.

Each command checks the delivery counters during the run, and that all impressions are sent or
dropped at the end.
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
    """Return a client that decides on device and reports each decision to the server."""
    from targetry import TargetClient

    local = {"decisioning_method": "on-device", "polling_interval": 0}
    return TargetClient.create(
        options(port, **local, artifact_payload=artifact([activity(1, "hero")]), **more)
    )


class CounterCheck:
    """Repeated check that a client's delivery counters add up."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.readings = 0

    def read(self) -> Any:
        stats = self._client.stats().notifications
        if stats.accepted != stats.sent + stats.pending + sum(stats.dropped.values()):
            raise AssertionError(f"the delivery counters do not add up: {stats}")
        self.readings += 1
        return stats

    def settle(self, calls: int) -> dict[str, Any]:
        """Return the counters after all of `calls` impressions are sent."""
        self._client.flush(_FLUSH_S)
        stats = self.read()
        if stats.accepted != calls or stats.pending:
            raise AssertionError(f"{calls} impressions were made, the counters are {stats}")
        return {"accepted": stats.accepted, "sent": stats.sent, "dropped": stats.dropped}


def added(command: dict[str, Any]) -> dict[str, Any]:
    """Measure `get_offers` with a notifier that sends, and with one that gets no impressions.

    Calls come in bursts of `size` with time to send between them; `burst` measures overload.
    """
    sending, silent = on_device(command["port"]), on_device(command["port"])
    silent._runtime.notifier.submit = lambda source: True  # no option leaves a decision unreported
    call_options = {"request": delivery_request(), "session_id": "s"}
    calls = [
        ("sending", partial(sending.get_offers, call_options)),
        ("silent", partial(silent.get_offers, call_options)),
    ]
    check, bursts = CounterCheck(sending), {name: list[Burst]() for name, _ in calls}
    with sending, silent:
        for _ in range(command["bursts"]):
            calls.reverse()  # the call after the other's sending has other cache contents
            for name, call in calls:
                bursts[name].append(_burst(call, command["size"]))
                check.read()
                time.sleep(command["pause_s"])
        ledger = check.settle(command["bursts"] * command["size"])
    late = command["bursts"] // 10  # the first ones open connections and fill caches
    found = {name: measured[late:] for name, measured in bursts.items()}
    return {
        **{f"{name}_us": statistics.median(one.wall_us for one in found[name]) for name in found},
        "ledger": ledger,
        "readings": check.readings,
    }


class Burst(NamedTuple):
    """Microseconds of a call: the mean, and each of them."""

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
    """Return the rate at which impressions are sent without decisions, and their processor time."""
    call_options = {"request": delivery_request(), "session_id": "s"}
    with on_device(command["port"]) as client:
        check = CounterCheck(client)
        for _ in range(50):
            client.get_offers(call_options)
        client.flush(_FLUSH_S)
        for _ in range(command["count"]):
            client.get_offers(call_options)
        before, started, cpu = check.read(), time.perf_counter(), time.process_time()
        client.flush(command["seconds"])
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        sent = check.read().sent - before.sent
        ledger = check.settle(command["count"] + 50)
    return {"per_s": sent / seconds, "cpu_us": cpu / sent * 1e6, "ledger": ledger, "readings": check.readings}


def steady(command: dict[str, Any]) -> dict[str, Any]:
    """Decide `rate` times a second; return the pending impressions in the middle and at the end."""
    call_options = {"request": delivery_request(), "session_id": "s"}
    rate, seconds = command["rate"], command["seconds"]
    with on_device(command["port"]) as client:
        check, in_the_middle = CounterCheck(client), None
        each: list[float] = []
        client.get_offers(call_options)
        client.flush(_FLUSH_S)
        started, cpu = time.perf_counter(), time.process_time()
        while (passed := time.perf_counter() - started) < seconds:
            each += _burst(lambda: client.get_offers(call_options), int(passed * rate) - len(each)).each_us
            pending = check.read().pending
            if in_the_middle is None and passed > seconds / 2:
                in_the_middle = pending
            time.sleep(_TICK_S)
        took, cpu = time.perf_counter() - started, time.process_time() - cpu
        at_the_end = check.read()
        ledger = check.settle(len(each) + 1)
    return {
        "made": len(each),
        "per_s": len(each) / took,
        "share": cpu / took,
        "pending": (in_the_middle or 0, at_the_end.pending),
        "call_median_us": statistics.median(each),
        "call_p99_us": percentile(each, 0.99),
        "ledger": ledger,
        "readings": check.readings,
    }


def burst(command: dict[str, Any]) -> dict[str, Any]:
    """Measure bursts larger than the queue: of decisions, and of submissions to the notifier."""
    call_options = {"request": delivery_request(), "session_id": "s"}
    logging.disable()  # drops are intended here
    with on_device(command["port"], notification_queue_limit=SMALL_QUEUE) as client:
        check, notifier = CounterCheck(client), client._runtime.notifier
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
        check.read()
        decided = _costs(costs)
        client.flush(_FLUSH_S)
        costs.clear()
        started = clock()
        for number in range(command["offers"]):
            timed(kept[number % len(kept)])
        per_ms = command["offers"] / (clock() - started) / 1000
        check.read()
        ledger = check.settle(1 + command["decisions"] + command["offers"])
    return {
        "deciding": {**decided, "call_p99_us": percentile(deciding.each_us, 0.99)},
        "offering": {**_costs(costs), "per_ms": per_ms},
        "ledger": ledger,
        "readings": check.readings,
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
