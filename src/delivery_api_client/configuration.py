"""The official place of `Configuration`."""

from targetry.official.api_client import Configuration as Configuration
