"""The official place of `PrefetchRequest`."""

from targetry.models import PrefetchRequest as PrefetchRequest
