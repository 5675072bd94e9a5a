"""Official import path of `Product`."""

from targetry.models import Product as Product
