"""Official import path of `DeliveryRequest`."""

from targetry.models import DeliveryRequest as DeliveryRequest
