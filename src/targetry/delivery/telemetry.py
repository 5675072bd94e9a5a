"""Telemetry entries, stored until a Delivery API request sends them (docs/decisioning.md)."""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

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


class Measurement(msgspec.Struct, frozen=True, gc=False):
    """Measurement of one call; it becomes an entry when a request sends it.

    It holds counts instead of requests and responses, which can be large. A thousand can wait.
    `execute` says whether a page load was requested, and has the number of mboxes; `prefetch` also
    has the number of views.
    """

    request_id: str | None
    timestamp_ms: int
    execution_ms: float
    method: DecisioningMethod
    mode: ExecutionMode
    token: str | None
    execute: tuple[bool, int] | None
    prefetch: tuple[bool, int, int] | None

    def entry(self) -> TelemetryEntry:
        """Return the entry of a request."""
        features = TelemetryFeatures(self.method)
        if self.execute is not None:
            page_load, mboxes = self.execute
            features.execute_page_load = page_load or None
            features.execute_mbox_count = mboxes or None
        if self.prefetch is not None:
            page_load, mboxes, views = self.prefetch
            features.prefetch_page_load = page_load or None
            features.prefetch_mbox_count = mboxes or None
            features.prefetch_view_count = views or None
        return TelemetryEntry(
            request_id=self.request_id,
            timestamp=self.timestamp_ms,
            execution=round(self.execution_ms, 2),
            features=features,
            mode=self.mode,
            telemetry_server_token=self.token,
        )


def measure_call(
    request: DeliveryRequest,
    response: DeliveryResponse,
    method: DecisioningMethod,
    timestamp_ms: int,
    execution_ms: float,
) -> Measurement:
    """Return the measurement of a call; `method` is the one that was used."""
    execute, prefetch = request.execute, request.prefetch
    return Measurement(
        request.request_id,
        timestamp_ms,
        execution_ms,
        method,
        _EDGE if response.edge_host else _LOCAL,
        response.telemetry_server_token,
        None if execute is None else (execute.page_load is not None, len(execute.mboxes or ())),
        None
        if prefetch is None
        else (prefetch.page_load is not None, len(prefetch.mboxes or ()), len(prefetch.views or ())),
    )


Entries = list[Measurement | TelemetryEntry]


def to_entries(entries: Entries) -> list[TelemetryEntry]:
    """Return measurements and entries as entries of a request."""
    return [one.entry() if isinstance(one, Measurement) else one for one in entries]


class TelemetryStore:
    """Store of at most 1,000 entries; a new one evicts the oldest.

    `dropped` counts evicted entries, and those of requests that the API rejected.
    """

    def __init__(self, *, enabled: bool) -> None:
        self.enabled = enabled
        self.dropped = 0
        self._waiting: deque[Measurement | TelemetryEntry] = deque(maxlen=MAX_ENTRIES)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, entry: Measurement | TelemetryEntry) -> None:
        """Store an entry; only for a store that is `enabled`."""
        if len(self._waiting) == MAX_ENTRIES:
            self.dropped += 1
        self._waiting.append(entry)

    def clear(self) -> None:
        """Remove all entries and reset the count."""
        self._waiting.clear()
        self.dropped = 0

    def take(self) -> Entries:
        """Remove and return all entries; `to_entries` makes them entries of a request."""
        taken: Entries = []
        waiting = self._waiting
        while waiting:
            try:
                taken.append(waiting.popleft())
            except IndexError:  # another thread took the last one
                break
        return taken

    def attach(self, request: DeliveryRequest) -> list[TelemetryEntry]:
        """Move all entries into a request, behind those that it has, and return them."""
        taken = to_entries(self.take())
        if taken:
            own = request.telemetry.entries if request.telemetry is not None else None
            request.telemetry = Telemetry([*(own or ()), *taken])
        return taken

    def put_back(self, taken: list[TelemetryEntry]) -> None:
        """Store the entries of a request that was not sent, for the next one."""
        for entry in reversed(taken):
            if len(self._waiting) >= MAX_ENTRIES:
                self.dropped += 1
            else:
                self._waiting.appendleft(entry)

    def count_dropped(self, taken: list[TelemetryEntry]) -> None:
        """Count the entries of a request that was rejected, perhaps because of them."""
        self.dropped += len(taken)


def artifact_entry(*, timestamp: int, execution_ms: float, response_size: int) -> TelemetryEntry:
    """Return the entry of one artifact download; times are milliseconds, the size is bytes."""
    return TelemetryEntry(
        request_id=ARTIFACT_DOWNLOAD,
        timestamp=timestamp,
        execution=round(execution_ms, 2),
        request=TelemetryRequest(response_size=response_size),
    )
