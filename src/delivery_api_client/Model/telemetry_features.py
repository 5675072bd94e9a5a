"""The official place of `TelemetryFeatures`."""

from targetry.models import TelemetryFeatures as TelemetryFeatures
