"""The official place of `TelemetryRequest`."""

from targetry.models import TelemetryRequest as TelemetryRequest
