"""Official import path of `Telemetry`."""

from targetry.models import Telemetry as Telemetry
