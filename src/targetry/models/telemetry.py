"""What the SDK tells about its own work."""

from __future__ import annotations

from targetry.models.accepted import ABSENT, Id, Integer64, Number, Timestamp
from targetry.models.base import Model
from targetry.models.enums import DecisioningMethodValue, ExecutionModeValue


class TelemetryFeatures(Model):
    decisioning_method: DecisioningMethodValue | None = None
    execute_mbox_count: Integer64 = ABSENT
    prefetch_mbox_count: Integer64 = ABSENT
    prefetch_view_count: Integer64 = ABSENT
    execute_page_load: bool | None = None
    prefetch_page_load: bool | None = None


class TelemetryRequest(Model):
    """Times in milliseconds, `response_size` in bytes."""

    dns: Number = ABSENT
    tls: Number = ABSENT
    time_to_first_byte: Number = ABSENT
    download: Number = ABSENT
    response_size: Integer64 = ABSENT


class TelemetryEntry(Model):
    """`timestamp` in epoch milliseconds, `execution` and `parsing` in milliseconds."""

    request_id: Id = ABSENT
    timestamp: Timestamp = ABSENT
    execution: Number = ABSENT
    features: TelemetryFeatures | None = None
    mode: ExecutionModeValue | None = None
    parsing: Number = ABSENT
    request: TelemetryRequest | None = None
    telemetry_server_token: str | None = None


class Telemetry(Model):
    entries: list[TelemetryEntry] | None = None
