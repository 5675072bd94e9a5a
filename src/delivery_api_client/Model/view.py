"""The official place of `View`."""

from targetry.models import View as View
