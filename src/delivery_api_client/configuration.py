"""Official import path of `Configuration`."""

from targetry.compat.api_client import Configuration as Configuration
