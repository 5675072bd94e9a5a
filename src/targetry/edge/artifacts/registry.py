"""The artifacts that an edge decides by and gives out, and which of them a request means."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Final

from targetry.device.artifact import artifact_text
from targetry.device.obfuscation import obfuscate
from targetry.device.ruleset import RuleSet, compile_artifact
from targetry.edge.artifacts.activities import report_activities
from targetry.edge.artifacts.token_index import TokenIndex
from targetry.edge.artifacts.workload import costs_of
from targetry.edge.http.errors import RequestRejected
from targetry.ledger.event import Activity

DEFAULT_CLIENT_CODE: Final = "targetry"


class LoadedArtifact:
    """One artifact, ready: rules to decide by, the index of its tokens, and the bytes to give out. Immutable.

    `client` and `environment` are those of its meta; `client` may be given instead, and is part of the bucketing key.
    """

    def __init__(
        self, name: str, source: bytes, *, client: str | None = None, organization_id: str | None = None
    ) -> None:
        """`source` is a `rules.json` or `rules.bin`. Raises `ArtifactError`."""
        self.name = name
        self.text = artifact_text(source, organization_id=organization_id)
        self.rules: RuleSet = compile_artifact(self.text)
        meta = self.rules.meta
        self.client = client or _text(meta.get("clientCode")) or DEFAULT_CLIENT_CODE
        self.environment = (_text(meta.get("environment")) or "").lower()
        self.organization_id = organization_id or _text(meta.get("organizationId"))
        self.tokens = TokenIndex(self.rules)
        self.costs = costs_of(self.rules)
        # Weak: the same artifact has one tag, gzipped or not.
        self.etag = f'W/"{hashlib.sha256(self.text).hexdigest()[:32]}"'

    @cached_property
    def activities(self) -> dict[str, Activity]:
        """The activities by their ids."""
        return {one.id: one for one in report_activities(self.rules)}

    @cached_property
    def gzipped(self) -> bytes:
        """The JSON text, gzipped; the same bytes each time."""
        return gzip.compress(self.text, 6, mtime=0)

    @cached_property
    def obfuscated(self) -> bytes | None:
        """The artifact as `rules.bin`; None where no organization is known to hide it for."""
        return None if self.organization_id is None else obfuscate(self.text, self.organization_id)


class ArtifactRegistry:
    """The artifacts of one moment. A change makes a new registry; a request keeps the one that it began with."""

    def __init__(self, artifacts: Iterable[LoadedArtifact]) -> None:
        self.artifacts: Sequence[LoadedArtifact] = tuple(artifacts)
        self.clients = tuple(dict.fromkeys(one.client for one in self.artifacts))

    def for_query(self, client: str | None, organization_id: str | None) -> LoadedArtifact:
        """The artifact that decides a delivery request: of the client code; else of the organization, where one says
        that it is of it; else the first. Raises `RequestRejected`."""
        if not self.artifacts:
            raise RequestRejected(503, "no artifact could be loaded yet")
        if client:
            return self._of_client(client, status=400)[0]
        own = (one for one in self.artifacts if one.organization_id == organization_id)
        return next(own, self.artifacts[0])

    def for_path(self, client: str, environment: str) -> LoadedArtifact:
        """The artifact at `/<client>/<environment>/v1/…`; one without an environment is that of all. Raises `RequestRejected`."""
        candidates = self._of_client(client, status=404)
        for one in candidates:
            if one.environment in ("", environment.lower()):
                return one
        served = ", ".join(one.environment for one in candidates)
        raise RequestRejected(
            404, f"client {client!r} has no environment {environment!r} here; served: {served}"
        )

    def _of_client(self, client: str, *, status: int) -> list[LoadedArtifact]:
        own = [one for one in self.artifacts if one.client == client]
        if not own:
            served = ", ".join(self.clients)
            raise RequestRejected(
                status, f"client {client!r} is not served here; served: {served} (option --client)"
            )
        return own


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
