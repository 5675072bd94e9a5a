"""Telemetry entries: kept until the next Delivery API request takes them along (spec/decisioning.md §10)."""

from __future__ import annotations

from collections import deque
from typing import Final

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


class TelemetryStore:
    """The entries that wait. At most 1,000: the oldest make room, and `dropped` counts them."""

    def __init__(self, *, enabled: bool) -> None:
        self.enabled = enabled
        self.dropped = 0
        self._entries: deque[TelemetryEntry] = deque(maxlen=MAX_ENTRIES)

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: TelemetryEntry) -> None:
        if not self.enabled:
            return
        if len(self._entries) == MAX_ENTRIES:
            self.dropped += 1
        self._entries.append(entry)

    def attach(self, request: DeliveryRequest) -> None:
        """Hand all entries over to a request that is about to be sent, behind those that it has."""
        taken: list[TelemetryEntry] = []
        entries = self._entries
        while entries:
            try:
                taken.append(entries.popleft())
            except IndexError:  # another thread took the last one
                break
        if taken:
            own = request.telemetry.entries if request.telemetry is not None else None
            request.telemetry = Telemetry([*(own or ()), *taken])


def call_entry(
    request: DeliveryRequest,
    response: DeliveryResponse,
    *,
    method: DecisioningMethod,
    timestamp: int,
    execution_ms: float,
) -> TelemetryEntry:
    """The entry of one call; `method` is the one actually used, `timestamp` epoch ms."""
    return TelemetryEntry(
        request_id=request.request_id,
        timestamp=timestamp,
        execution=round(execution_ms, 2),
        features=_features(request, method),
        mode=_EDGE if response.edge_host else _LOCAL,
        telemetry_server_token=response.telemetry_server_token,
    )


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
