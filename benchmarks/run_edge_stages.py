"""Contestant of `edge.py`: the steps of the edge's work without a network."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

from measure import measure
from run_edge_clients import _question
from run_targetry import main


def stages(command: dict[str, Any]) -> dict[str, Any]:
    """Return the microseconds of each step, with a new visitor for each call."""
    from targetry._runtime.ids import new_id
    from targetry.device.decide import decide
    from targetry.edge.artifacts.registry import ArtifactRegistry, LoadedArtifact
    from targetry.edge.delivery.handler import parse_request, respond
    from targetry.edge.delivery.request_parsing import parse_body, parse_query
    from targetry.samples import shop_path

    registry = ArtifactRegistry([LoadedArtifact("shop", shop_path().read_bytes())])
    served = registry.artifacts[0]
    questions = [_parts(_question(80, number)) for number in range(1_000)]
    requests = itertools.cycle([parse_body(body).request for _, body in questions])
    asked = itertools.cycle(questions)
    now_ms = int(time.time() * 1000)

    def read() -> None:
        query, body = next(asked)
        parse_query(query)
        parse_body(body)

    def decided() -> None:
        decide(served.rules, next(requests), client_code=served.client, now_ms=now_ms, new_id=new_id)

    def delivered() -> None:
        query, body = next(asked)
        parsed = parse_request(body, query, registry)
        respond(parsed, now_ms=now_ms, new_id=new_id, is_recorded=False)

    steps: dict[str, Callable[[], object]] = {"read": read, "decide": decided, "deliver": delivered}
    return {name: measure(step, seconds=command["seconds"]).best_us for name, step in steps.items()}


def _parts(question: bytes) -> tuple[str, bytes]:
    head, _, body = question.partition(b"\r\n\r\n")
    return head.split()[1].partition(b"?")[2].decode(), body


if __name__ == "__main__":
    main({"stages": stages})
