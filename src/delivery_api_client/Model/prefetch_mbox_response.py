"""Official import path of `PrefetchMboxResponse`."""

from targetry.models import PrefetchMboxResponse as PrefetchMboxResponse
