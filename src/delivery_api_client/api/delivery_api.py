"""The official place of `DeliveryApi`."""

from targetry.official.api_client import ApiClient as ApiClient
from targetry.official.api_client import DeliveryApi as DeliveryApi
from targetry.official.api_errors import ApiTypeError as ApiTypeError
from targetry.official.api_errors import ApiValueError as ApiValueError
