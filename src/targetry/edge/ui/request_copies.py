"""Copies of a request to run elsewhere: a shell command, a Python program, a pytest case."""

from __future__ import annotations

import json
import pprint
import re
import shlex
from collections.abc import Iterator
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode, urlsplit

import msgspec

from targetry.device.decide import decide
from targetry.device.qa_mode import rules_for
from targetry.edge.artifacts.registry import PLACEHOLDER_ORGANIZATION, LoadedArtifact
from targetry.models import DeliveryRequest

_SESSION: Final = "workbench"
_WIDTH: Final = 100
_OPTIONS: Final = "[option.content for option in one.options or ()]"
_NOT_A_NAME: Final = re.compile(r"\W+", re.ASCII)


class Copy(NamedTuple):
    """Text to copy: its title, and the text."""

    title: str
    text: str


def copies_of(request: DeliveryRequest, artifact: LoadedArtifact, url: str, *, now_ms: int) -> list[Copy]:
    """Return the copies of a decided request.

    Args:
        request: The request with its generated ids and its location.
        artifact: The artifact that decided it.
        url: URL of the edge, with a slash at its end.
        now_ms: Time of the decision, in epoch milliseconds.
    """
    document, rules = document_of(request), rules_for(artifact.rules, request)
    decision = decide(rules, request, artifact.client, now_ms, lambda: "")
    response: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(decision.response))
    return [
        Copy("curl", curl_command(url, artifact.client, document)),
        Copy("Python", _program(url, artifact, document)),
        Copy("pytest", _case(artifact, document, now_ms, response)),
    ]


def document_of(request: DeliveryRequest) -> dict[str, Any]:
    """Return the JSON of a request without its own ids, which are new each time."""
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(request))
    for name in ("requestId", "impressionId"):
        document.pop(name, None)
    return document


def curl_command(url: str, client: str, document: dict[str, Any]) -> str:
    """Return a shell command that sends a request to the edge at `url`."""
    address = f"{url}rest/v1/delivery?{urlencode({'client': client, 'sessionId': _SESSION})}"
    body = json.dumps(document)
    return shlex.join(["curl", address, "-H", "content-type: application/json", "-d", body])


def _program(url: str, artifact: LoadedArtifact, document: dict[str, Any]) -> str:
    parts = urlsplit(url)
    return f"""from targetry import TargetClient

REQUEST = {_literal(document)}

with TargetClient.create(
    client={artifact.client!r},
    organization_id={artifact.organization_id or PLACEHOLDER_ORGANIZATION!r},
    server_domain={parts.netloc!r},
    secure={parts.scheme == "https"},
    cdn_base_path={url.rstrip("/")!r},
) as client:
    offers = client.get_offers(request=REQUEST)
    print(offers.response.to_json())
"""


def _case(artifact: LoadedArtifact, document: dict[str, Any], now_ms: int, response: dict[str, Any]) -> str:
    checks = "\n".join(f"    assert {path} == {_literal(expected)}" for path, expected in _contents(response))
    return f"""from pathlib import Path

from targetry import TargetClient
from targetry.testing import edge

ARTIFACT = Path({artifact.name!r})
NOW = {now_ms / 1000!r}  # seconds
REQUEST = {_literal(document)}


def test_offers_of_{_case_name(document)}() -> None:
    with (
        edge(ARTIFACT, client={artifact.client!r}, now=lambda: NOW) as here,
        TargetClient.create(**here.client_options()) as client,
    ):
        response = client.get_offers(request=REQUEST).response
{checks}
"""


def _contents(response: dict[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """Yield expressions for the content of a response, and their values."""
    for mode in ("execute", "prefetch"):
        part = response.get(mode) or {}
        for name in ("mboxes", "views"):
            if name in part:
                yield f"[{_OPTIONS} for one in response.{mode}.{name}]", [_content(one) for one in part[name]]
        if "pageLoad" in part:
            yield f"[{_OPTIONS} for one in [response.{mode}.page_load]]", [_content(part["pageLoad"])]


def _content(answered: dict[str, Any]) -> list[Any]:
    return [option.get("content") for option in answered.get("options") or ()]


def _case_name(document: dict[str, Any]) -> str:
    """Return the name of the first place as a part of an identifier."""
    parts = [document.get(mode, {}) for mode in ("execute", "prefetch")]
    names = [
        one.get("name") or "" for part in parts for one in (*part.get("mboxes", ()), *part.get("views", ()))
    ]
    return _NOT_A_NAME.sub("_", next(iter(names), "page")).strip("_").lower()[:40] or "the_request"


def _literal(value: Any) -> str:
    return pprint.pformat(value, width=_WIDTH, sort_dicts=False)
