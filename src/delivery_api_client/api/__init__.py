"""Operations of the API."""

from delivery_api_client.api import delivery_api as delivery_api
from targetry.compat.api_client import DeliveryApi as DeliveryApi
