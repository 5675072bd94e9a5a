"""Official import path of `Browser`."""

from targetry.models import Browser as Browser
