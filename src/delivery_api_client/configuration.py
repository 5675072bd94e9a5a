"""The official place of `Configuration`."""

from targetry.compat.api_client import Configuration as Configuration
