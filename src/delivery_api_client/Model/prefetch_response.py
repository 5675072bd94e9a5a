"""Official import path of `PrefetchResponse`."""

from targetry.models import PrefetchResponse as PrefetchResponse
