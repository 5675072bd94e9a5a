"""The official place of `TelemetryEntry`."""

from targetry.models import TelemetryEntry as TelemetryEntry
