"""Decision of a request from the command line, by a client without network access."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import msgspec

from targetry import TargetClient, samples
from targetry._runtime.ids import new_id
from targetry._runtime.validators import suggestion
from targetry.cli.arguments import RequestArguments
from targetry.cli.inputs.artifact_source import STDIN, SourceError, read_bytes
from targetry.device.artifact import artifact_text, read_artifact
from targetry.device.decide import decide
from targetry.device.obfuscation import is_obfuscated
from targetry.device.ruleset import RuleSet
from targetry.errors import ArtifactError, TransportError
from targetry.http.protocol import HttpRequest, HttpResponse
from targetry.models import DeliveryRequest, DeliveryResponse

_DEFAULT_CODE: Final = "targetry"
_STDIN: Final = "stdin"


class Source(msgspec.Struct, frozen=True):
    """Bytes of an artifact, and the options of a client for it."""

    name: str
    data: bytes
    client: str
    organization_id: str


class OfferDecision(msgspec.Struct, frozen=True):
    """Decision at `now_ms` (epoch ms); `request` is the prepared one, with the visitor's id."""

    rules: RuleSet
    client: str
    request: DeliveryRequest
    response: DeliveryResponse
    meta: dict[str, Any]
    now_ms: int
    notes: list[str]


class _NoteCollector:
    """Logger of a client that collects its errors as notes for the user."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def debug(self, message: str) -> None:
        pass

    def error(self, message: str) -> None:
        self.notes.append(message)


def read_source(
    artifact: Path | str | None, client: str | None = None, organization_id: str | None = None
) -> Source:
    """Read the artifact of a file, stdin (`-`), a URL, or the sample. Raises `SourceError`."""
    name = _STDIN if str(artifact) == STDIN else "the sample shop" if artifact is None else str(artifact)
    data = read_bytes(str(artifact or samples.shop_path()), name)
    if is_obfuscated(data) and organization_id is None:
        raise SourceError(f"{name}: the artifact is obfuscated, so --organization-id is needed")
    try:
        meta = read_artifact(artifact_text(data, organization_id=organization_id)).meta
    except ArtifactError as error:
        raise SourceError(f"{name}: {error}") from error
    named = meta.get("clientCode")
    said = named if isinstance(named, str) and named else _DEFAULT_CODE
    return Source(name, data, client or said, organization_id or _DEFAULT_CODE)


def open_client(source: Source, logger: Any = None) -> TargetClient:
    """Return a client that decides by an artifact and never uses the network."""
    return TargetClient.create(
        client=source.client,
        organization_id=source.organization_id,
        decisioning_method="on-device",
        artifact_payload=source.data,
        polling_interval=0,
        telemetry_enabled=False,
        send_notification_func=lambda notification: None,
        transport=_NoTransport(),
        logger=logger or _NoteCollector(),
    )


class _NoTransport:
    """Transport that refuses all requests; it also spares the client the import of HTTP and TLS."""

    def send(self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None) -> HttpResponse:
        raise TransportError(reason="the command does not use the network")

    def close(self) -> None:
        pass


def rules_of(client: TargetClient) -> RuleSet:
    """Return the rules of a client that `open_client` returned."""
    engine = client.decisioning_engine
    assert engine is not None
    assert engine.rules is not None
    return engine.rules


def decide_offers(arguments: RequestArguments) -> OfferDecision:
    """Decide a request by a client; at another time than the present, by the engine again."""
    request, now_ms = arguments.request(), arguments.now_ms()
    source = read_source(arguments.artifact, arguments.client, arguments.organization_id)
    collector = _NoteCollector()
    with open_client(source, collector) as client:
        asked_at = int(time.time() * 1000)
        result = client.get_offers(request=request)
        rules = rules_of(client)
    prepared, response = result["request"], result["response"]
    if now_ms is not None:
        decision = decide(rules, prepared, client_code=source.client, now_ms=now_ms, new_id=new_id)
        response = decision.response
    notes = [*collector.notes, *_remote(rules, result["meta"])]
    return OfferDecision(
        rules,
        source.client,
        prepared,
        response,
        result["meta"],
        asked_at if now_ms is None else now_ms,
        notes,
    )


def _remote(rules: RuleSet, meta: dict[str, Any]) -> list[str]:
    """Return notes on the locations that the artifact cannot decide."""
    notes = []
    for kind, names, known in (
        ("mbox", meta["remote_mboxes"], rules.remote_mboxes),
        ("view", meta["remote_views"], rules.remote_views),
    ):
        local = rules.mboxes if kind == "mbox" else rules.views
        for name in names:
            if name in known:
                notes.append(f"{kind} {name!r} has activities that only the Delivery API can decide")
            else:
                notes.append(f"{kind} {name!r} is not in the artifact{suggestion(name, [*local, *known])}")
    return notes
