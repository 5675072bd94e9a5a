"""The official place of `PrefetchMboxResponse`."""

from targetry.models import PrefetchMboxResponse as PrefetchMboxResponse
