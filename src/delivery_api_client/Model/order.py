"""Official import path of `Order`."""

from targetry.models import Order as Order
