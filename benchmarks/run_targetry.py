"""Contestant of `device.py`: Targetry, one JSON line per command."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from measure import measure

OPTIONS: dict[str, Any] = {
    "client": "acme",
    "organization_id": "ABC@AdobeOrg",
    "decisioning_method": "on-device",
    "polling_interval": 0,
    "telemetry_enabled": False,
    "target_location_hint": "28",
}


def decide(command: dict[str, Any]) -> dict[str, Any]:
    from targetry import DeliveryRequest, TargetClient
    from targetry.testing import FakeTransport, answer

    transport = FakeTransport(by=lambda _: answer({"status": 200, "requestId": "1"}))
    payload = json.loads(Path(command["artifact"]).read_bytes())
    requests = [DeliveryRequest.from_json(json.dumps(request)) for request in command["requests"]]
    with TargetClient.create({**OPTIONS, "artifact_payload": payload, "transport": transport}) as client:
        turn = iter(requests * command["rounds"])
        options = {"request": requests[0], "session_id": "s"}

        def same() -> Any:
            return client.get_offers(options)

        def next_one() -> Any:
            return client.get_offers({"request": next(turn), "session_id": "s"})

        response = json.loads(same()["response"].to_json())
        if len(requests) > 1:
            timing = measure_each(next_one, len(requests))
        else:
            # A thread sends impressions; waiting for it between batches keeps it out of the timing.
            timing = measure(same, seconds=command["seconds"], between=lambda: client.flush(5))
        return {**timing._asdict(), "response": response}


def measure_each(call: Any, count: int) -> Any:
    """Return the median and the best of batches of 20 calls that can each be made only once."""
    from measure import Timing, _timed

    batches = [_timed(call, 20) / 20 * 1e6 for _ in range(count // 20 - 1)]
    return Timing(min(batches), sorted(batches)[len(batches) // 2], count)


def load(command: dict[str, Any]) -> dict[str, Any]:
    import tracemalloc

    from memory import resident_mb
    from targetry import TargetClient

    path = Path(command["artifact"])
    with TargetClient.create({**OPTIONS, "artifact_payload": {"version": "1.0.0", "rules": {}}}):
        pass  # modules that are loaded once, without a relation to the artifact
    if command["traced"]:
        tracemalloc.start()
    before = resident_mb()
    started = time.perf_counter()
    client = TargetClient.create({**OPTIONS, "artifact_location": path})
    seconds = time.perf_counter() - started
    ready = client.decisioning_engine is not None and client.decisioning_engine.is_ready()
    after = resident_mb()
    traced = tracemalloc.get_traced_memory()[0] / 1e6 if command["traced"] else None
    client.close()
    return {"seconds": seconds, "resident_mb": after - before, "traced_mb": traced, "ready": ready}


def main(do: dict[str, Any]) -> None:
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps(do[command["do"]](command)), flush=True)


if __name__ == "__main__":
    main({"decide": decide, "load": load})
