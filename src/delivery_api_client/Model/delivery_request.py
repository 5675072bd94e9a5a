"""The official place of `DeliveryRequest`."""

from targetry.models import DeliveryRequest as DeliveryRequest
