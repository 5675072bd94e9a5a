"""Sample shop's artifact and a Delivery API, for programs of these tests."""

from __future__ import annotations

from typing import Any

from servers.faulty import FaultyServer, Received, Steps, json_answer
from targetry import samples

CLIENT = "acme"
ORGANIZATION = "1234567890@AdobeOrg"
ARTIFACT_PATH = f"/{CLIENT}/production/v1/rules.json"
TNT_ID = "d3f1"  # names no edge cluster, or cookies would lead away from here


class Shop(FaultyServer):
    """Serves the artifact, and answers requests for any mbox."""

    def __init__(self) -> None:
        super().__init__(deliver)
        self.on(ARTIFACT_PATH, json_answer(samples.shop()))

    @property
    def options(self) -> dict[str, Any]:
        """Return options that lead to this server only, as a program of 1.1.0 has them."""
        return {
            "client": CLIENT,
            "organization_id": ORGANIZATION,
            "server_domain": f"127.0.0.1:{self.port}",
            "secure": False,
            "timeout": 10_000,
        }

    @property
    def on_device(self) -> dict[str, Any]:
        """The same, deciding on device."""
        return {**self.options, "decisioning_method": "on-device", "artifact_location": self.artifact_url}

    @property
    def artifact_url(self) -> str:
        return self.url + ARTIFACT_PATH

    @property
    def deliveries(self) -> list[Received]:
        """The requests to the Delivery API."""
        return [received for received in self.requests if received.path == "/rest/v1/delivery"]


def deliver(received: Received) -> Steps:
    asked = received.json()
    execute = [executed(mbox) for mbox in asked.get("execute", {}).get("mboxes", ())]
    prefetch = [prefetched(mbox) for mbox in asked.get("prefetch", {}).get("mboxes", ())]
    return json_answer(
        {
            "status": 200,
            "requestId": asked["requestId"],
            "id": {"tntId": TNT_ID},
            "client": CLIENT,
            **({"execute": {"mboxes": execute}} if execute else {}),
            **({"prefetch": {"mboxes": prefetch}} if prefetch else {}),
            "notifications": [{"id": each["id"]} for each in asked.get("notifications", ())],
        }
    )


def executed(mbox: dict[str, Any]) -> dict[str, Any]:
    name = mbox["name"]
    flags = {"type": "json", "content": {"for": name, "enabled": True}}
    html = {"type": "html", "content": f"<b>{name}</b>", "responseTokens": {"offer.name": f"offer of {name}"}}
    return {"index": mbox["index"], "name": name, "options": [flags if name.endswith("flags") else html]}


def prefetched(mbox: dict[str, Any]) -> dict[str, Any]:
    answer = executed(mbox)
    answer["options"][0]["eventToken"] = f"token of {mbox['name']}"
    return {**answer, "state": f"state of {mbox['name']}"}
