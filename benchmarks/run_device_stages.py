"""Contestant of `device.py`: the steps of an on-device decision."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from measure import by_turns
from run_targetry import OPTIONS, main


def stages(command: dict[str, Any]) -> dict[str, Any]:
    """Return the microseconds of each step, including earlier steps if it needs them."""
    from targetry import DeliveryRequest, TargetClient
    from targetry._client.call_options import offer_settings
    from targetry._runtime.ids import new_id
    from targetry.device.decide import decide
    from targetry.device.ruleset import compile_artifact
    from targetry.models import DecisioningMethod, snapshot

    rules = compile_artifact(command["artifact"])
    request = DeliveryRequest.from_json(json.dumps(command["request"]))
    given = {"request": request, "session_id": "s"}
    with TargetClient.create({**OPTIONS, "artifact_payload": command["artifact"]}) as client:
        begin = client._pipeline.prepare_call

        def begun() -> Any:
            return begin(offer_settings(given, {}, DecisioningMethod.ON_DEVICE))

        prepared, now_ms = begun().prepared.request, int(time.time() * 1000)
        steps: dict[str, Callable[[], object]] = {
            "copy": lambda: snapshot(request, wire=False),
            "begin": begun,
            "decide": lambda: decide(rules, prepared, OPTIONS["client"], now_ms, new_id),
            "all": lambda: client.get_offers(given),
        }
        found = by_turns(steps, {"size": 200, "seconds": command["seconds"]})
    return {name: timing["best_us"] for name, timing in found.items()}


if __name__ == "__main__":
    main({"stages": stages})
