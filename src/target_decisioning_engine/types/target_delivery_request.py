"""The official place of `TargetDeliveryRequest`."""

from targetry.standalone import TargetDeliveryRequest as TargetDeliveryRequest
