"""WSGI site for forking application servers: on-device and server-side calls, no `close`."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable
from typing import Any

from targetry import DeliveryRequest, ExecuteRequest, MboxRequest, TargetClient

logging.getLogger("adobe.target").addHandler(logging.NullHandler())

_HERO = DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="hero")]))
_HOST = os.environ["TARGET_HOST"]

client = TargetClient.create(
    client="acme",
    organization_id="A@AdobeOrg",
    decisioning_method="on-device",
    server_domain=_HOST,
    secure=False,
    trust_env=False,
    cdn_base_path=f"http://{_HOST}",
    polling_interval=1000,
)


def title(session: str, method: str) -> str:
    result = client.get_offers(request=_HERO, session_id=session, decisioning_method=method)
    return str(result["response"].execute.mboxes[0].options[0].content["title"])


# If the site is loaded before the fork, threads run and connections are open at the fork.
for _ in range(3):
    title("loading", "on-device")
title("loading", "server-side")


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    session = environ["PATH_INFO"].strip("/")
    seen = {
        "pid": os.getpid(),
        "here": title(session, "on-device"),
        "edge": title(session, "server-side"),
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(seen).encode()]
