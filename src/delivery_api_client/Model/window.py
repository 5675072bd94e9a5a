"""Official import path of `Window`."""

from targetry.models import Window as Window
