"""The official place of `Browser`."""

from targetry.models import Browser as Browser
