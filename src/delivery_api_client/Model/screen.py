"""The official place of `Screen`."""

from targetry.models import Screen as Screen
