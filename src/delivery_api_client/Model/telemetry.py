"""The official place of `Telemetry`."""

from targetry.models import Telemetry as Telemetry
