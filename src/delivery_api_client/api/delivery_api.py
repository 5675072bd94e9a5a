"""Official import path of `DeliveryApi`."""

from targetry.compat.api_client import ApiClient as ApiClient
from targetry.compat.api_client import DeliveryApi as DeliveryApi
from targetry.compat.api_errors import ApiTypeError as ApiTypeError
from targetry.compat.api_errors import ApiValueError as ApiValueError
