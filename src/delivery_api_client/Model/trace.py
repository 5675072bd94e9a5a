"""The official place of `Trace`."""

from targetry.models import Trace as Trace
