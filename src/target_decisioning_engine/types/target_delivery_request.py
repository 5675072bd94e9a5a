"""The official place of `TargetDeliveryRequest`."""

from targetry.compat.decisioning_engine import TargetDeliveryRequest as TargetDeliveryRequest
