"""Telemetry entries: kept until the next Delivery API request takes them along (spec/decisioning.md §10)."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from targetry.models import (
    DecisioningMethod,
    DeliveryRequest,
    DeliveryResponse,
    ExecutionMode,
    Telemetry,
    TelemetryEntry,
    TelemetryFeatures,
    TelemetryRequest,
)

MAX_ENTRIES: Final = 1000
ARTIFACT_DOWNLOAD: Final = "ArtifactDownload"

_EDGE, _LOCAL = ExecutionMode.EDGE, ExecutionMode.LOCAL


class Measurement(NamedTuple):
    """One call, measured: becomes an entry when a request takes it along, off the path of the call."""

    request: DeliveryRequest
    response: DeliveryResponse
    method: DecisioningMethod
    timestamp_ms: int
    execution_ms: float

    def entry(self) -> TelemetryEntry:
        """The entry; `method` is the one actually used."""
        request, response = self.request, self.response
        return TelemetryEntry(
            request_id=request.request_id,
            timestamp=self.timestamp_ms,
            execution=round(self.execution_ms, 2),
            features=_features(request, self.method),
            mode=_EDGE if response.edge_host else _LOCAL,
            telemetry_server_token=response.telemetry_server_token,
        )


class TelemetryStore:
    """What waits to be sent. At most 1,000: the oldest make room, and `dropped` counts them."""

    def __init__(self, *, enabled: bool) -> None:
        self.enabled = enabled
        self.dropped = 0
        self._waiting: deque[Measurement | TelemetryEntry] = deque(maxlen=MAX_ENTRIES)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, entry: Measurement | TelemetryEntry) -> None:
        """Keep it; only for a store that is `enabled`."""
        if len(self._waiting) == MAX_ENTRIES:
            self.dropped += 1
        self._waiting.append(entry)

    def forget(self) -> None:
        """Nothing waits any more, and nothing was dropped."""
        self._waiting.clear()
        self.dropped = 0

    def attach(self, request: DeliveryRequest) -> None:
        """Hand all entries over to a request that is about to be sent, behind those that it has."""
        taken: list[TelemetryEntry] = []
        waiting = self._waiting
        while waiting:
            try:
                first = waiting.popleft()
            except IndexError:  # another thread took the last one
                break
            taken.append(first.entry() if isinstance(first, Measurement) else first)
        if taken:
            own = request.telemetry.entries if request.telemetry is not None else None
            request.telemetry = Telemetry([*(own or ()), *taken])


def artifact_entry(*, timestamp: int, execution_ms: float, response_size: int) -> TelemetryEntry:
    """The entry of one artifact download."""
    return TelemetryEntry(
        request_id=ARTIFACT_DOWNLOAD,
        timestamp=timestamp,
        execution=round(execution_ms, 2),
        request=TelemetryRequest(response_size=response_size),
    )


def _features(request: DeliveryRequest, method: DecisioningMethod) -> TelemetryFeatures:
    features = TelemetryFeatures(method)
    execute, prefetch = request.execute, request.prefetch
    if execute is not None:
        features.execute_page_load = execute.page_load is not None or None
        features.execute_mbox_count = len(execute.mboxes or ()) or None
    if prefetch is not None:
        features.prefetch_page_load = prefetch.page_load is not None or None
        features.prefetch_mbox_count = len(prefetch.mboxes or ()) or None
        features.prefetch_view_count = len(prefetch.views or ()) or None
    return features
