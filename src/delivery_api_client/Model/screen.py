"""Official import path of `Screen`."""

from targetry.models import Screen as Screen
