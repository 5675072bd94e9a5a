"""On-device engine of a client: source, readiness and age of its rules.

Rules come from a payload, a file or the CDN. A payload or a file that cannot be used raises at the
creation of the client. Faults of the CDN do not; calls raise `NotReadyError` until there are rules.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from targetry._client.options import ClientSettings
from targetry._runtime.logger import Log
from targetry._runtime.rate_limited_log import RateLimitedLog
from targetry._runtime.validators import warn
from targetry.artifacts.fetch import Downloaded
from targetry.artifacts.file_transport import FileTransport
from targetry.artifacts.refresh import RefreshResult
from targetry.artifacts.source import ArtifactSource, ArtifactStats
from targetry.delivery.hosts import artifact_url, is_adobe_cdn
from targetry.delivery.telemetry import TelemetryStore, artifact_entry
from targetry.device.artifact import artifact_text, read_json
from targetry.device.remote import remote_dependency
from targetry.device.ruleset import RuleSet, compile_artifact
from targetry.device.unusable_rules import count_causes, describe_unusable_rules
from targetry.errors import ArtifactError, OptionError, TransportError
from targetry.events import Events
from targetry.http.protocol import HttpRequest, Transport
from targetry.models import DeliveryRequest

_CDN_FLOOR_S: Final = 300.0
_FLOOR_S: Final = 1.0
_NOT_APPLICABLE: Final = "Not Applicable"


class RuleSetLoader:
    """Loader of artifacts; the client's organization is the key of obfuscated ones."""

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


class DecisioningEngine:
    """`decisioning_engine` of a client, with the methods of the official package's engine."""

    def __init__(
        self,
        options: ClientSettings,
        *,
        transport: Transport,
        events: Events,
        log: Log,
        telemetry: TelemetryStore,
        on_ready: Callable[[], object],
    ) -> None:
        """Compile a payload or read a file, without the network.

        Raises:
            ArtifactError: The payload or the file cannot be used.
            OptionError: The file cannot be read.
        """
        self._options = options
        self._telemetry = telemetry
        location = options.artifact_location
        loader = RuleSetLoader(options.organization_id, log)
        self.location = str(location) if isinstance(location, Path) else _url(options)
        initial = None
        if options.artifact_payload is not None:
            initial = loader.compile(options.artifact_payload)
        elif isinstance(location, Path):
            initial = loader.compile(_read_file(location, options.artifact_max_bytes))
        self._source: ArtifactSource[RuleSet] = ArtifactSource(
            transport=FileTransport(location) if isinstance(location, Path) else transport,
            url=self.location,
            compile=loader.compile,
            parse=loader.parse,
            emit=events.emit,
            log=log,
            interval_s=_interval_s(options, self.location),
            initial=initial,
            maximum_wait_s=None if options.maximum_wait_ready is None else options.maximum_wait_ready / 1000,
            cache_dir=options.artifact_cache_dir,
            max_bytes=options.artifact_max_bytes,
            on_ready=on_ready,
            on_download=None if isinstance(location, Path) else self._record_download,
        )
        self.in_use: Callable[[], tuple[RuleSet | None, bool]] = self._source.in_use
        """Return the rules that decide, and whether they may no longer be the latest."""

    def start(self) -> None:
        """Start to download and to poll."""
        self._source.start()

    def wait_ready(self) -> bool:
        """Wait for rules, at most `maximum_wait_ready`, and return whether there are any."""
        return self._source.wait_ready()

    @property
    def rules(self) -> RuleSet | None:
        """Rules that decide; None until there are some."""
        return self._source.current

    @property
    def artifact(self) -> dict[str, Any] | None:
        """Return the artifact in use as a dict; None when there is none."""
        return self.get_raw_artifact()

    def is_ready(self) -> bool:
        """Return whether there are rules."""
        return self._source.current is not None

    def get_raw_artifact(self) -> dict[str, Any] | None:
        """Return the artifact in use as a dict; None when there is none."""
        rules = self._source.current
        return None if rules is None else rules.document()

    def has_remote_dependency(self, request: DeliveryRequest) -> dict[str, Any]:
        """Return `remote_needed`, `remote_mboxes` and `remote_views` of a request.

        Raises:
            ArtifactError: There is no artifact yet.
        """
        rules = self._source.current
        if rules is None:
            raise ArtifactError("The decisioning artifact is not available")
        remote = remote_dependency(rules, request)
        needed = bool(remote.mboxes or remote.views)
        return {"remote_needed": needed, "remote_mboxes": remote.mboxes, "remote_views": remote.views}

    def refresh(self, *, force: bool = False) -> Future[RefreshResult]:
        """Request the artifact now. `force` uses even one that is older than the one in use."""
        return self._source.refresh(force=force)

    def stop_polling(self) -> None:
        """Stop polling until `resume_polling`."""
        self._source.stop_polling()

    def resume_polling(self) -> None:
        """Resume polling after `stop_polling`."""
        self._source.resume_polling()

    def unusable_rules(self) -> dict[str, int]:
        """Return the number of unusable rules in the current artifact, by cause."""
        rules = self._source.current
        return {} if rules is None or not rules.unusable else count_causes(rules)

    def stats(self) -> ArtifactStats:
        """Return the state and the counts of the artifact's source."""
        return self._source.stats()

    def trace(self) -> dict[str, Any]:
        """Return the part `artifact` of a trace."""
        stats = self._source.stats()
        rules = self._source.current
        retrieved = datetime.fromtimestamp(stats.last_retrieved or time.time(), UTC)
        return {
            "artifactLocation": _NOT_APPLICABLE if stats.origin == "payload" else stats.location,
            "pollingInterval": int(stats.polling_interval_s * 1000),
            "pollingHalted": stats.polling_halted,
            "artifactVersion": rules.version if rules is not None else "unknown",
            "artifactRetrievalCount": stats.retrieval_count,
            "artifactLastRetrieved": retrieved.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }

    def close(self, timeout_s: float) -> None:
        """Stop polling and end the thread."""
        self._source.close(timeout_s)

    def _record_download(self, download: Downloaded) -> None:
        if self._telemetry.enabled:
            self._telemetry.add(
                artifact_entry(
                    timestamp=int(time.time() * 1000),
                    execution_ms=download.elapsed_ms,
                    response_size=len(download.body),
                )
            )


def _read_file(path: Path, max_bytes: int) -> bytes:
    request = HttpRequest("GET", path.as_uri() if path.is_absolute() else str(path), {})
    try:
        body = FileTransport(path).send(request, timeout=0, max_bytes=max_bytes).body
    except TransportError as error:
        raise OptionError("artifact_location", error.reason or "cannot be read") from error
    if len(body) > max_bytes:
        raise ArtifactError(f"the file {path} is larger than {max_bytes} bytes")
    return body


def _url(options: ClientSettings) -> str:
    return artifact_url(
        options.client,
        environment=options.environment,
        property_token=options.property_token,
        cdn_environment=options.cdn_environment,
        cdn_base_path=options.cdn_base_path,
        artifact_location=str(options.artifact_location) if options.artifact_location is not None else None,
        artifact_format=options.artifact_format,
    )


def _interval_s(options: ClientSettings, location: str) -> float:
    """Return the polling interval, 0 for no polling. Adobe's CDN is polled every five minutes."""
    if options.polling_interval == 0:
        return 0.0
    interval_s = options.polling_interval / 1000
    if is_adobe_cdn(location):
        return max(_CDN_FLOOR_S, interval_s)
    if interval_s < _FLOOR_S:
        given = options.polling_interval
        warn(f"polling_interval is in milliseconds: did you mean {given * 1000:g} instead of {given:g}?")
    return max(_FLOOR_S, interval_s)
