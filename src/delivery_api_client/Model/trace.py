"""Official import path of `Trace`."""

from targetry.models import Trace as Trace
