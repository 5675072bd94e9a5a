"""Official import path of `PrefetchMboxResponseAllOf`."""

from targetry.models import PrefetchMboxResponseAllOf as PrefetchMboxResponseAllOf
