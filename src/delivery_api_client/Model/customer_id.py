"""The official place of `CustomerId`."""

from targetry.models import CustomerId as CustomerId
