"""The official place of `PrefetchResponse`."""

from targetry.models import PrefetchResponse as PrefetchResponse
