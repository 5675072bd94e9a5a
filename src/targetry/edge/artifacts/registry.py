"""Registry of the artifacts that an edge serves, with the choice of the one for a request."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from targetry.device.artifact import artifact_text
from targetry.device.encoded_mboxes import EncodedMboxes
from targetry.device.obfuscation import obfuscate
from targetry.device.ruleset import RuleSet, compile_artifact
from targetry.edge.artifacts.activities import report_activities
from targetry.edge.artifacts.token_index import TokenIndex
from targetry.edge.artifacts.workload import are_light, costs_of
from targetry.edge.http.errors import RequestRejected
from targetry.ledger.event import ActivityDescription

if TYPE_CHECKING:
    from targetry.activities.compile.report_plans import FolderPlans

DEFAULT_CLIENT_CODE: Final = "targetry"
PLACEHOLDER_ORGANIZATION: Final = "0123456789ABCDEF01234567@AdobeOrg"
"""Organization of clients of an artifact that names none."""

RESPONSE_TOKENS: Final = {"activity.decisioningMethod": "server-side"}
"""Response tokens of all options that the edge returns."""


class LoadedArtifact:
    """Artifact with its rules, token index and costs, and the bytes to serve. Immutable.

    `client` and `environment` are those of its meta, unless a client code is given. The client code
    is part of the allocation key. `encoded` is a cache of responses. `plans` are those of the
    folder that the artifact was compiled from.
    """

    def __init__(
        self,
        name: str,
        source: bytes,
        *,
        client: str | None = None,
        organization_id: str | None = None,
        plans: FolderPlans | None = None,
        earlier: LoadedArtifact | None = None,
    ) -> None:
        """Compile a `rules.json` or `rules.bin`, which can replace an earlier artifact.

        Raises:
            ArtifactError: The artifact cannot be used.
        """
        self.name = name
        self.plans = plans
        self.text = artifact_text(source, organization_id=organization_id)
        self.rules: RuleSet = compile_artifact(self.text)
        meta = self.rules.meta
        self.client = client or _nonempty_text(meta.get("clientCode")) or DEFAULT_CLIENT_CODE
        self.environment = (_nonempty_text(meta.get("environment")) or "").lower()
        self.organization_id = organization_id or _nonempty_text(meta.get("organizationId"))
        if earlier is not None and earlier.client != self.client:
            earlier = None
        self.tokens: TokenIndex = TokenIndex(self.rules, None if earlier is None else earlier.tokens)
        self.costs = costs_of(self.rules)
        self.encoded = EncodedMboxes(RESPONSE_TOKENS)
        self.digest = hashlib.sha256(self.text).hexdigest()[:32]
        # A weak tag, because it is the same with and without gzip.
        self.etag = f'W/"{self.digest}"'

    @cached_property
    def activities(self) -> dict[str, ActivityDescription]:
        """Descriptions of the activities by their ids."""
        return {one.id: one for one in report_activities(self.rules)}

    @cached_property
    def are_flags_light(self) -> bool:
        """Whether the evaluation of all flags takes no longer than a light delivery request."""
        return are_light(self.costs.mboxes.values())

    @cached_property
    def gzipped(self) -> bytes:
        """The JSON text in gzip format; the same bytes each time."""
        return gzip.compress(self.text, 6, mtime=0)

    @cached_property
    def obfuscated(self) -> bytes | None:
        """The artifact as `rules.bin`; None if the organization is unknown."""
        return None if self.organization_id is None else obfuscate(self.text, self.organization_id)


class ArtifactRegistry:
    """Immutable collection of artifacts; a reload creates a new one."""

    def __init__(self, artifacts: Iterable[LoadedArtifact]) -> None:
        self.artifacts: Sequence[LoadedArtifact] = tuple(artifacts)
        self.clients = tuple(dict.fromkeys(one.client for one in self.artifacts))
        self.plans = [one.plans for one in self.artifacts if one.plans is not None]

    def for_query(self, client: str | None, organization_id: str | None) -> LoadedArtifact:
        """Return the artifact for a delivery request: by client code, organization, or the first.

        Raises:
            RequestRejected: 400, the client code is unknown; 503, there is no artifact.
        """
        if not self.artifacts:
            raise RequestRejected(503, "no artifact could be loaded yet")
        if client:
            return self._for_client(client, status=400)[0]
        for one in self.artifacts:
            if one.organization_id == organization_id:
                return one
        return self.artifacts[0]

    def for_flags(self, client: str | None, environment: str | None) -> LoadedArtifact:
        """Return the artifact for flags: by client code and environment, else the only one.

        Raises:
            RequestRejected: 400, the client code or the environment is unknown, or is needed and
                missing; 503, there is no artifact.
        """
        if not self.artifacts:
            raise RequestRejected(503, "no artifact could be loaded yet")
        if client is None:
            if len(self.artifacts) > 1:
                served = ", ".join(self.clients)
                raise RequestRejected(400, f"say which client: /<client>/ofrep/v1/…; here are {served}")
            return self.artifacts[0]
        try:
            if environment is None:
                return self._for_client(client, status=400)[0]
            return self.for_path(client, environment)
        except RequestRejected as rejected:
            raise RequestRejected(400, rejected.message) from None

    def for_path(self, client: str, environment: str) -> LoadedArtifact:
        """Return the artifact at `/<client>/<environment>/v1/…`.

        An artifact without an environment matches any.

        Raises:
            RequestRejected: 404, there is none.
        """
        candidates = self._for_client(client, status=404)
        for one in candidates:
            if one.environment in ("", environment.lower()):
                return one
        served = ", ".join(one.environment for one in candidates)
        raise RequestRejected(
            404, f"client {client!r} has no environment {environment!r} here; served: {served}"
        )

    def _for_client(self, client: str, *, status: int) -> list[LoadedArtifact]:
        matches = [one for one in self.artifacts if one.client == client]
        if not matches:
            served = ", ".join(self.clients)
            raise RequestRejected(
                status, f"client {client!r} is not served here; served: {served} (option --client)"
            )
        return matches


def _nonempty_text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
