"""The official place of `DeliveryResponse`."""

from targetry.models import DeliveryResponse as DeliveryResponse
