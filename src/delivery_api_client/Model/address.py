"""Official import path of `Address`."""

from targetry.models import Address as Address
