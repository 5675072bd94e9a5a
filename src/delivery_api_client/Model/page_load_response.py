"""The official place of `PageLoadResponse`."""

from targetry.models import PageLoadResponse as PageLoadResponse
