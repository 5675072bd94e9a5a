"""The official place of `Address`."""

from targetry.models import Address as Address
