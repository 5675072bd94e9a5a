"""The official place of `Window`."""

from targetry.models import Window as Window
