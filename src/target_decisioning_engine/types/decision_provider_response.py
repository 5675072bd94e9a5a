"""Official import path of `DecisionProviderResponse`."""

from targetry.compat.decisioning_engine import DecisionProviderResponse as DecisionProviderResponse
from targetry.models import DeliveryResponse as DeliveryResponse
