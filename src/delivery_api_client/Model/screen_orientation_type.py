"""Official import path of `ScreenOrientationType`."""

from targetry.models import ScreenOrientationType as ScreenOrientationType
