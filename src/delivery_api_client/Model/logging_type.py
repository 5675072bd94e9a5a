"""Official import path of `LoggingType`."""

from targetry.models import LoggingType as LoggingType
