"""What the SDK tells about its own work."""

from __future__ import annotations

from .base import Model
from .constraint import Int64, Number
from .enums import DecisioningMethodValue, ExecutionModeValue


class TelemetryFeatures(Model):
    decisioning_method: DecisioningMethodValue | None = None
    execute_mbox_count: Int64 | None = None
    prefetch_mbox_count: Int64 | None = None
    prefetch_view_count: Int64 | None = None
    execute_page_load: bool | None = None
    prefetch_page_load: bool | None = None


class TelemetryRequest(Model):
    """Times in milliseconds, `response_size` in bytes."""

    dns: Number | None = None
    tls: Number | None = None
    time_to_first_byte: Number | None = None
    download: Number | None = None
    response_size: Int64 | None = None


class TelemetryEntry(Model):
    """`timestamp` in epoch milliseconds, `execution` and `parsing` in milliseconds."""

    request_id: str | None = None
    timestamp: Int64 | None = None
    execution: Number | None = None
    features: TelemetryFeatures | None = None
    mode: ExecutionModeValue | None = None
    parsing: Number | None = None
    request: TelemetryRequest | None = None
    telemetry_server_token: str | None = None


class Telemetry(Model):
    entries: list[TelemetryEntry] | None = None
