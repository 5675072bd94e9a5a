"""The official place of `LoggingType`."""

from targetry.models import LoggingType as LoggingType
