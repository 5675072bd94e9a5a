"""Official import path of `TelemetryRequest`."""

from targetry.models import TelemetryRequest as TelemetryRequest
