"""Official import path of `Application`."""

from targetry.models import Application as Application
