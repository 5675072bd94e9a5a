"""Official import path of `TelemetryFeatures`."""

from targetry.models import TelemetryFeatures as TelemetryFeatures
