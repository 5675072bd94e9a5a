"""Official import path of `TargetDeliveryResponse`."""

from targetry import TargetDeliveryResponse as TargetDeliveryResponse
