"""The official place of `Order`."""

from targetry.models import Order as Order
