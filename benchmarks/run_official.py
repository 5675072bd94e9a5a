"""Contestant of `device.py`: the official Python SDK, with the Python of `.envs/official`."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from measure import measure
from run_targetry import OPTIONS, main, measure_each


def _client(path: Path) -> Any:
    """Return a client that has downloaded its artifact, as each call copies a payload artifact."""
    from target_python_sdk import TargetClient

    with _served(path) as location:
        client: Any = TargetClient.create({**OPTIONS, "artifact_location": location})
    # The thread of each notification then ends at once instead of using the network.
    client.decisioning_engine.config.send_notification_func = lambda options: None
    return client


@contextmanager
def _served(path: Path) -> Iterator[str]:
    """Return the URL of the file on a server in this process."""
    handler = partial(_Quiet, directory=str(path.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{path.name}"
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


def decide(command: dict[str, Any]) -> dict[str, Any]:
    from delivery_api_client import ApiClient

    api = ApiClient()
    client = _client(Path(command["artifact"]))
    texts = [json.dumps(request) for request in command["requests"]]
    requests = [api.deserialize(SimpleNamespace(data=text), "DeliveryRequest") for text in texts]
    turn = iter(requests * command["rounds"])

    def same() -> Any:
        return client.get_offers({"request": requests[0], "session_id": "s"})

    def next_one() -> Any:
        return client.get_offers({"request": next(turn), "session_id": "s"})

    response = api.sanitize_for_serialization(same()["response"])
    timing = (
        measure_each(next_one, len(requests))
        if len(requests) > 1
        else measure(same, seconds=command["seconds"])
    )
    return {**timing._asdict(), "response": response}


def load(command: dict[str, Any]) -> dict[str, Any]:
    import tracemalloc

    from memory import resident_mb

    small = Path(command["artifact"]).with_name("small.json")
    small.write_text(json.dumps({"version": "1.0.0", "rules": {"mboxes": {}, "views": {}}}))
    _client(small)
    if command["traced"]:
        tracemalloc.start()
    before = resident_mb()
    started = time.perf_counter()
    client = _client(Path(command["artifact"]))
    seconds = time.perf_counter() - started
    after = resident_mb()
    traced = tracemalloc.get_traced_memory()[0] / 1e6 if command["traced"] else None
    return {
        "seconds": seconds,
        "resident_mb": after - before,
        "traced_mb": traced,
        "ready": client.decisioning_engine.is_ready(),
    }


if __name__ == "__main__":
    sys.setrecursionlimit(5000)
    main({"decide": decide, "load": load})
