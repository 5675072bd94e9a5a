"""The official place of `ScreenOrientationType`."""

from targetry.models import ScreenOrientationType as ScreenOrientationType
