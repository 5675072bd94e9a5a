"""Compilation and parsing of a client's artifacts, with one log line about the rules that cannot be used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from targetry._runtime.logger import Log
from targetry._runtime.rate_limited_log import RateLimitedLog
from targetry.device.artifact import artifact_text, read_json
from targetry.device.ruleset import RuleSet, compile_artifact
from targetry.device.unusable_rules import describe_unusable_rules


class RuleSetLoader:
    """Loads artifacts in every form; obfuscated ones with the key of the client's organization."""

    def __init__(self, organization_id: str, log: Log) -> None:
        self._organization_id = organization_id
        self._log = RateLimitedLog(log)

    def compile(self, source: Mapping[str, Any] | bytes | str) -> RuleSet:
        """Compile an artifact. Raises `ArtifactError`."""
        rules = compile_artifact(source, organization_id=self._organization_id)
        if rules.unusable:
            self._log.error("unusable rules", "In the artifact %s", describe_unusable_rules(rules))
        return rules

    def parse(self, data: bytes) -> Any:
        """Parse an artifact into the dict that events show. Raises `ArtifactError`."""
        return read_json(artifact_text(data, organization_id=self._organization_id))
