"""Telemetry of the SDK."""

from __future__ import annotations

from targetry.models.accepted import ABSENT, Id, Integer64, Number, Timestamp
from targetry.models.base import Model
from targetry.models.enums import DecisioningMethodValue, ExecutionModeValue


class TelemetryFeatures(Model):
    """Features that a request used."""

    decisioning_method: DecisioningMethodValue | None = None
    execute_mbox_count: Integer64 = ABSENT
    prefetch_mbox_count: Integer64 = ABSENT
    prefetch_view_count: Integer64 = ABSENT
    execute_page_load: bool | None = None
    prefetch_page_load: bool | None = None


class TelemetryRequest(Model):
    """Timings of a request, in milliseconds; `response_size` is in bytes."""

    dns: Number = ABSENT
    tls: Number = ABSENT
    time_to_first_byte: Number = ABSENT
    download: Number = ABSENT
    response_size: Integer64 = ABSENT


class TelemetryEntry(Model):
    """Entry of telemetry. `timestamp` is in epoch milliseconds, the others in milliseconds."""

    request_id: Id = ABSENT
    timestamp: Timestamp = ABSENT
    execution: Number = ABSENT
    features: TelemetryFeatures | None = None
    mode: ExecutionModeValue | None = None
    parsing: Number = ABSENT
    request: TelemetryRequest | None = None
    telemetry_server_token: str | None = None


class Telemetry(Model):
    """Telemetry of a request."""

    entries: list[TelemetryEntry] | None = None
