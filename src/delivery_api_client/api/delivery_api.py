"""The official place of `DeliveryApi`."""

from targetry.official.api_client import DeliveryApi as DeliveryApi
