"""The operations of the API."""

from targetry.official.api_client import DeliveryApi as DeliveryApi
