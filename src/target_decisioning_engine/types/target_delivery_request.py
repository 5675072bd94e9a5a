"""Official import path of `TargetDeliveryRequest`."""

from targetry.compat.decisioning_engine import TargetDeliveryRequest as TargetDeliveryRequest
