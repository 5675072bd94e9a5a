"""Official import path of `View`."""

from targetry.models import View as View
