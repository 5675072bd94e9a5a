"""Official import path of `TelemetryEntry`."""

from targetry.models import TelemetryEntry as TelemetryEntry
