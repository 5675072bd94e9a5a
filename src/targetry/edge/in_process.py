"""Edge in the process of a test, on a free loopback port, in a thread.

with edge(artifact) as target:
    client = TargetClient.create(**target.client_options())
    ...
    assert target.events[0].kind == "impression"
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from targetry._runtime.daemon_threads import start_daemon_thread
from targetry.edge.app import Edge, EdgeApplication
from targetry.edge.artifacts.registry import PLACEHOLDER_ORGANIZATION, ArtifactRegistry, LoadedArtifact
from targetry.edge.assembly import describe_activities
from targetry.edge.delivery.recorder import EventSink
from targetry.edge.http.access_policy import AccessPolicy
from targetry.edge.observability.artifact_state import ArtifactState
from targetry.edge.server import EdgeServer, listen
from targetry.errors import ArtifactError, NoThreadError, OptionError
from targetry.geo.location import GeoLocation
from targetry.hooks import Hook, checked_hooks
from targetry.ledger.event import LedgerEvent
from targetry.ledger.store import EventStore
from targetry.recording.log import RequestLog
from targetry.samples import shop_path

ORGANIZATION: Final = PLACEHOLDER_ORGANIZATION
_STOP_S: Final = 5.0

Source = Mapping[str, Any] | bytes | str | Path
"""Artifact: its document, its text, or the path of its file."""


class MemoryLedger:
    """Ledger in memory; an event that it has already is not added again.

    Attributes:
        events: The events in their order.
    """

    def __init__(self) -> None:
        self.events: list[LedgerEvent] = []
        self._ids: set[str] = set()
        self._lock = threading.Lock()

    def record(self, events: Sequence[LedgerEvent]) -> list[bool]:
        """Add events. Return of each whether it is new."""
        with self._lock:
            return [self._is_new(event) for event in events]

    def _is_new(self, event: LedgerEvent) -> bool:
        if event.id in self._ids:
            return False
        self._ids.add(event.id)
        self.events.append(event)
        return True

    def close(self) -> None:
        """Do nothing; the events remain."""


class GivenArtifact:
    """Artifact source with one artifact, which its owner replaces."""

    def __init__(self, artifact: Source, client: str | None) -> None:
        self.reloads = self.refusals = 0
        self._client = client
        self.registry = self._registry(artifact)

    def replace(self, artifact: Source) -> None:
        """Serve another artifact from now on."""
        self.registry = self._registry(artifact)
        self.reloads += 1

    def is_stale(self, artifact: LoadedArtifact) -> bool:
        """Return False: there is no newer version."""
        return False

    def states(self) -> list[ArtifactState]:
        """Return the state of the artifact."""
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
    """Running edge.

    Attributes:
        url: Its URL.
        host: Host and port of the URL.
        client: The client code that it serves.
        organization_id: The organization of its `rules.bin`.
    """

    def __init__(self, server: EdgeServer, source: GivenArtifact, ledger: EventSink) -> None:
        self.url = server.url
        self.host = self.url.removeprefix("http://")
        self.client = server.clients[0]
        self.organization_id = ORGANIZATION
        self._source = source
        self._ledger = ledger

    @property
    def events(self) -> list[LedgerEvent]:
        """The recorded events in their order.

        Raises:
            OptionError: The edge was given a ledger of another kind, which has the events.
        """
        if not isinstance(self._ledger, MemoryLedger):
            raise OptionError("ledger", "the events are in the ledger that was given; read them there")
        return list(self._ledger.events)

    def serve(self, artifact: Source) -> None:
        """Serve another artifact from now on.

        Raises:
            ArtifactError: It cannot be loaded; the previous artifact remains.
        """
        self._source.replace(artifact)
        _describe(self._source, self._ledger)

    def client_options(self, **more: Any) -> dict[str, Any]:
        """Return options of `TargetClient.create` for this edge, and those in `more`."""
        return {
            "client": self.client,
            "organization_id": self.organization_id,
            "server_domain": self.host,
            "secure": False,
            "cdn_base_path": self.url,
            "trust_env": False,
            **more,
        }


def _describe(source: GivenArtifact, ledger: EventSink) -> None:
    """Store the names of the activities in a ledger that reports read."""
    if isinstance(ledger, EventStore):
        describe_activities(ledger, source.registry)


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
    hooks: Sequence[Hook] = (),
    request_log: RequestLog | None = None,
) -> Iterator[LocalEdge]:
    """Run an edge for the length of a `with` block.

    Args:
        artifact: Its document, text or file; by default the sample shop.
        client: Client code, instead of the artifact's.
        cluster: Cluster of tnt ids and of `edgeHost`.
        places: Locations of IP addresses.
        ledger: Records the events instead of a `MemoryLedger`; the caller closes it.
        now: Clock of the edge, in epoch seconds.
        allow_origins: Origins of web pages that are answered in addition to loopback ones; `*`
            allows all.
        hooks: Observe evaluations over OFREP.
        request_log: Records requests with their responses; the caller closes it.

    Raises:
        ArtifactError: The artifact cannot be loaded.
        OptionError: An option is wrong.
        NoThreadError: The system has no thread left.
    """
    source = GivenArtifact(shop_path() if artifact is None else artifact, client)
    sink = MemoryLedger() if ledger is None else ledger
    _describe(source, sink)
    parts = Edge(
        source,
        ledger=sink,
        locate=None if places is None else dict(places).get,
        cluster=cluster,
        now=now,
        access=AccessPolicy(allow_origins),
        hooks=checked_hooks("hooks", hooks),
        request_log=request_log,
    )
    server = EdgeServer(
        EdgeApplication(parts),
        listen("127.0.0.1", 0),
        clients=source.registry.clients,
        on_close=parts.access_log.flush,
        event_streams=parts.event_streams,
    )
    thread = start_daemon_thread("targetry-edge", server.run)
    if thread is None:
        server.close()
        raise NoThreadError("the edge was not started: the system has no thread left; try again later")
    try:
        yield LocalEdge(server, source, sink)
    finally:
        server.stop()
        thread.join(_STOP_S)
