"""Telemetry entries: kept until the next Delivery API request takes them along (spec/decisioning.md §10)."""

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
    """One call, measured: becomes an entry when a request takes it along, off the path of the call.

    It holds counts and not what was counted: a thousand may wait, and answers may be large. `execute` is whether a page was
    asked for and how many mboxes; `prefetch` also how many views.
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
        """The entry; `method` is the one actually used."""
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


def measured(
    request: DeliveryRequest,
    response: DeliveryResponse,
    method: DecisioningMethod,
    timestamp_ms: int,
    execution_ms: float,
) -> Measurement:
    """What there is to tell about a call."""
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


def written(entries: Entries) -> list[TelemetryEntry]:
    """Return them as the entries of a request."""
    return [one.entry() if isinstance(one, Measurement) else one for one in entries]


class TelemetryStore:
    """What waits to be sent. At most 1,000: the oldest make room. `dropped` counts those, and what was lost on its way."""

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

    def take(self) -> Entries:
        """Remove and return everything that waits, still to be made into entries by `written`."""
        taken: Entries = []
        waiting = self._waiting
        while waiting:
            try:
                taken.append(waiting.popleft())
            except IndexError:  # another thread took the last one
                break
        return taken

    def attach(self, request: DeliveryRequest) -> list[TelemetryEntry]:
        """Hand all entries over to a request that is about to be sent, behind those that it has; returns them."""
        taken = written(self.take())
        if taken:
            own = request.telemetry.entries if request.telemetry is not None else None
            request.telemetry = Telemetry([*(own or ()), *taken])
        return taken

    def take_back(self, taken: list[TelemetryEntry]) -> None:
        """The request did not get through: what it took waits for the next one."""
        for entry in reversed(taken):
            if len(self._waiting) >= MAX_ENTRIES:
                self.dropped += 1
            else:
                self._waiting.appendleft(entry)

    def lose(self, taken: list[TelemetryEntry]) -> None:
        """The request was refused, perhaps for what it took: that does not come back."""
        self.dropped += len(taken)


def artifact_entry(*, timestamp: int, execution_ms: float, response_size: int) -> TelemetryEntry:
    """The entry of one artifact download."""
    return TelemetryEntry(
        request_id=ARTIFACT_DOWNLOAD,
        timestamp=timestamp,
        execution=round(execution_ms, 2),
        request=TelemetryRequest(response_size=response_size),
    )
