"""Official import path of `CustomerId`."""

from targetry.models import CustomerId as CustomerId
