"""Artifacts of a batch: documents, files, compiled rules, and the rules of a client."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

from targetry._runtime.files import read_file
from targetry.device.ruleset import RuleSet, compile_artifact
from targetry.errors import NotReadyError, OptionError


class RulesSource(Protocol):
    """Engine of a client."""

    @property
    def rules(self) -> RuleSet | None:
        """Rules that decide; None until there are some."""


@runtime_checkable
class OnDeviceClient(Protocol):
    """Client that decides on device, such as `TargetClient` and `AsyncTargetClient`."""

    @property
    def decisioning_engine(self) -> RulesSource | None:
        """On-device engine; None for a server-side client."""


ArtifactInput: TypeAlias = bytes | str | Path | Mapping[str, Any] | RuleSet | OnDeviceClient
"""JSON text, a file (`rules.json`, `rules.bin`), the parsed document, compiled rules, or a client.

Of a client, the rules that decide at the time of the call are used.
"""


def compiled(artifact: ArtifactInput, organization_id: str | None = None) -> RuleSet:
    """Return compiled rules.

    Raises:
        OptionError: The file cannot be read, or the client decides nothing on device.
        NotReadyError: The client has no rules yet.
        ArtifactError: The artifact cannot be used.
    """
    if isinstance(artifact, RuleSet):
        return artifact
    if isinstance(artifact, Path):
        try:
            artifact, _ = read_file(artifact)
        except (OSError, ValueError) as error:
            raise OptionError("artifact", f"cannot be read: {error}") from error
    if isinstance(artifact, OnDeviceClient):
        return _rules_of(artifact)
    return compile_artifact(artifact, organization_id=organization_id)


def _rules_of(client: OnDeviceClient) -> RuleSet:
    engine = client.decisioning_engine
    if engine is None:
        raise OptionError("artifact", "is a server-side client, which has no rules; pass an artifact")
    if engine.rules is None:
        raise NotReadyError("the client has no rules yet; wait until it is ready")
    return engine.rules
