"""The official Python SDK as a contestant of `wire.py`. Runs with the Python of `.envs/official`; see `run_wire.py`."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from run_targetry import main
from run_wire import asked, by_turns, options


def sequential(command: dict[str, Any]) -> dict[str, Any]:
    from delivery_api_client import ApiClient
    from target_python_sdk import TargetClient

    client = TargetClient.create(options(command["port"]))
    asking = ApiClient().deserialize(SimpleNamespace(data=json.dumps(asked())), "DeliveryRequest")
    call_options = {"request": asking, "session_id": "s"}
    answer = client.get_offers(call_options)["response"]
    timings = by_turns({"get_offers": lambda: client.get_offers(call_options)}, command)
    return {"timings": timings, "content": answer.execute.mboxes[0].options[0].content}


if __name__ == "__main__":
    main({"sequential": sequential})
