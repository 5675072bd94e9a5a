"""The official place of `Application`."""

from targetry.models import Application as Application
