"""The official place of `Product`."""

from targetry.models import Product as Product
