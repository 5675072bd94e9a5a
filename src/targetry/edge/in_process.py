"""An edge inside a test: on a free loopback port, in a thread of this process.

with edge(artifact) as target:
    client = TargetClient.create(**target.client_options())
    ...
    assert target.events[0].kind == "impression"
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from targetry._runtime.daemon_threads import start_daemon_thread
from targetry.edge.app import Edge, edge_app
from targetry.edge.artifacts.registry import ArtifactRegistry, LoadedArtifact
from targetry.edge.delivery.recorder import EventSink
from targetry.edge.fast_path import Shortcut
from targetry.edge.http.access_policy import AccessPolicy
from targetry.edge.observability.artifact_state import ArtifactState
from targetry.edge.server import EdgeServer, listen
from targetry.errors import ArtifactError, NoThreadError, OptionError
from targetry.geo.location import GeoLocation
from targetry.ledger.event import Event
from targetry.samples import shop_path

ORGANIZATION: Final = "0123456789ABCDEF01234567@AdobeOrg"
_STOP_S: Final = 5.0

Source = Mapping[str, Any] | bytes | str | Path
"""An artifact: its document, its text, or the path of its file."""


class MemoryLedger:
    """Keeps events in a list; what was seen before is not listed again."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._ids: set[str] = set()
        self._lock = threading.Lock()

    def record(self, events: Sequence[Event]) -> list[bool]:
        with self._lock:
            return [self._is_new(event) for event in events]

    def _is_new(self, event: Event) -> bool:
        if event.id in self._ids:
            return False
        self._ids.add(event.id)
        self.events.append(event)
        return True

    def close(self) -> None:
        """The events stay."""


class _Payload:
    """One artifact that a test gave."""

    def __init__(self, artifact: Source, client: str | None) -> None:
        self.reloads = self.refusals = 0
        self._client = client
        self.registry = self._registry(artifact)

    def replace(self, artifact: Source) -> None:
        self.registry = self._registry(artifact)
        self.reloads += 1

    def states(self) -> list[ArtifactState]:
        one = self.registry.artifacts[0]
        return [ArtifactState(one.name, one.client, one.environment, one.rules.generated_at, 0.0, None)]

    def _registry(self, artifact: Source) -> ArtifactRegistry:
        name = artifact.name if isinstance(artifact, Path) else "payload"
        return ArtifactRegistry(
            [LoadedArtifact(name, _bytes_of(artifact), client=self._client, organization_id=ORGANIZATION)]
        )


def _bytes_of(artifact: Source) -> bytes:
    if isinstance(artifact, Path):
        return artifact.read_bytes()
    if isinstance(artifact, Mapping):
        return _text_of(artifact)
    return artifact.encode() if isinstance(artifact, str) else bytes(artifact)


def _text_of(document: Mapping[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(document)
    except (TypeError, ValueError) as error:
        raise ArtifactError(f"the artifact is not JSON: {error}") from error


class LocalEdge:
    """An edge that runs. `url` is its address, `host` the `host:port` of it, `client` the client code that it serves."""

    def __init__(self, server: EdgeServer, payload: _Payload, ledger: EventSink) -> None:
        self.url = server.url
        self.host = self.url.removeprefix("http://")
        self.client = server.clients[0]
        self.organization_id = ORGANIZATION
        self._payload = payload
        self._ledger = ledger

    @property
    def events(self) -> list[Event]:
        """What happened so far, in order. Only where the ledger is the edge's own."""
        if not isinstance(self._ledger, MemoryLedger):
            raise OptionError("ledger", "the events are in the ledger that was given")
        return list(self._ledger.events)

    def serve(self, artifact: Source) -> None:
        """Go on with another artifact. Raises `ArtifactError`."""
        self._payload.replace(artifact)

    def client_options(self, **more: Any) -> dict[str, Any]:
        """Options of `TargetClient.create` that lead every request here: offers, artifact, geo lookups. `more` are added."""
        return {
            "client": self.client,
            "organization_id": self.organization_id,
            "server_domain": self.host,
            "secure": False,
            "cdn_base_path": self.url,
            "trust_env": False,
            **more,
        }


def _nothing() -> None:
    """The artifact does not change by itself, and the ledger may be somebody's own."""


@contextmanager
def edge(
    artifact: Source | None = None,
    *,
    client: str | None = None,
    cluster: str | None = None,
    places: Mapping[str, GeoLocation] | None = None,
    ledger: EventSink | None = None,
    now: Callable[[], float] = time.time,
    allow_origins: Sequence[str] = (),
) -> Iterator[LocalEdge]:
    """Run an edge as long as the `with` block; without an artifact, one that serves the sample shop.

    `places`: IP address → place. `now`: the edge's clock, epoch seconds. With a `ledger` of one's own, closing it is one's own affair too.
    `allow_origins`: origins of web pages that are answered besides loopback ones, `*` for all. Raises `ArtifactError`, `OptionError`.
    """
    payload = _Payload(shop_path() if artifact is None else artifact, client)
    recorder = MemoryLedger() if ledger is None else ledger
    log = logging.getLogger("targetry.edge")
    locate = None if places is None else dict(places).get
    served = Edge(
        payload,
        ledger=recorder,
        locate=locate,
        cluster=cluster,
        log=log,
        now=now,
        access=AccessPolicy(allow_origins),
    )
    server = EdgeServer(
        edge_app(served),
        listen("127.0.0.1", 0),
        clients=payload.registry.clients,
        on_start=_nothing,
        on_close=served.notes.flush,
        door=served.door,
        shortcut=Shortcut.to(served),
    )
    thread = start_daemon_thread("targetry-edge", server.run)
    if thread is None:
        server.close()
        raise NoThreadError("the edge was not started: the system gives no thread; try again later")
    try:
        yield LocalEdge(server, payload, recorder)
    finally:
        server.stop()
        thread.join(_STOP_S)
