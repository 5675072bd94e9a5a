"""A local edge on a free port, for the length of a `with` block."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, TypedDict, Unpack

from targetry._runtime.lazy_import import importing_extra

if TYPE_CHECKING:
    from targetry.edge.delivery.recorder import EventSink
    from targetry.edge.in_process import LocalEdge, Source
    from targetry.geo.location import GeoLocation
    from targetry.hooks import Hook
    from targetry.recording.log import RequestLog


class EdgeArguments(TypedDict, total=False):
    """Keyword arguments of `edge`.

    Attributes:
        client: Client code, instead of the artifact's.
        cluster: Cluster of tnt ids and of `edgeHost`.
        places: Locations of IP addresses.
        ledger: Records the events instead of a list in memory; the caller closes it.
        now: Clock of the edge, in epoch seconds.
        allow_origins: Origins of web pages that are answered in addition to loopback ones.
        hooks: Observe evaluations over OFREP.
        request_log: Records requests with their responses; the caller closes it.
    """

    client: str | None
    cluster: str | None
    places: Mapping[str, GeoLocation] | None
    ledger: EventSink | None
    now: Callable[[], float]
    allow_origins: Sequence[str]
    hooks: Sequence[Hook]
    request_log: RequestLog | None


def edge(
    artifact: Source | None = None, **options: Unpack[EdgeArguments]
) -> AbstractContextManager[LocalEdge]:
    """Run an edge on a free port for the length of a `with` block.

        with edge() as here, TargetClient.create(**here.client_options()) as client:
            client.get_offers(request=request)

    With pytest, `targetry.pytest_plugin.target_edge` is a fixture of it.

    Args:
        artifact: Document, text or file of an artifact; by default the sample shop.
        options: The keyword arguments of `EdgeArguments`.

    Raises:
        MissingExtraError: The extra `targetry[edge]` is not installed.
        ArtifactError: The artifact cannot be loaded.
    """
    with importing_extra("edge"):
        from targetry.edge.in_process import edge as local_edge

    return local_edge(artifact, **options)
