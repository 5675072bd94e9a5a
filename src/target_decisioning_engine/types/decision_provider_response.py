"""The official place of `DecisionProviderResponse`."""

from targetry.models import DeliveryResponse as DeliveryResponse
from targetry.standalone import DecisionProviderResponse as DecisionProviderResponse
