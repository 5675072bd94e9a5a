"""Official import path of `DeliveryResponse`."""

from targetry.models import DeliveryResponse as DeliveryResponse
