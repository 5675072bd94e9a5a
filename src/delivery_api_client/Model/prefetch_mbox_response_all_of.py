"""The official place of `PrefetchMboxResponseAllOf`."""

from targetry.models import PrefetchMboxResponseAllOf as PrefetchMboxResponseAllOf
