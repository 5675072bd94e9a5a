"""Contestant of `wire.py`: the official Python SDK, with the Python of `.envs/official`."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from measure import by_turns
from run_targetry import main
from run_wire import asked, options


def sequential(command: dict[str, Any]) -> dict[str, Any]:
    from delivery_api_client import ApiClient, Configuration
    from target_python_sdk import TargetClient

    # This SDK sends all requests of a process to the first host that it is configured with.
    api = ApiClient(Configuration(host=f"http://127.0.0.1:{command['port']}"))
    client = TargetClient.create(options(command["port"]))
    asking = api.deserialize(SimpleNamespace(data=json.dumps(asked())), "DeliveryRequest")
    call_options = {"request": asking, "session_id": "s"}
    answer = client.get_offers(call_options)["response"]
    timings = by_turns({"get_offers": lambda: client.get_offers(call_options)}, command)
    return {"timings": timings, "content": answer.execute.mboxes[0].options[0].content}


if __name__ == "__main__":
    main({"sequential": sequential})
