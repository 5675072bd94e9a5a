"""Official import path of `PrefetchRequest`."""

from targetry.models import PrefetchRequest as PrefetchRequest
