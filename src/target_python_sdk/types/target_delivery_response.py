"""The official place of `TargetDeliveryResponse`."""

from targetry import TargetDeliveryResponse as TargetDeliveryResponse
