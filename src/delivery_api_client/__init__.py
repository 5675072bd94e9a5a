"""Import name of Adobe's models of the Delivery API, with its generated client."""

from delivery_api_client import Model, api, api_client, configuration, exceptions
from delivery_api_client.Model import *  # noqa: F403
from targetry.compat.api_client import ApiClient, Configuration, DeliveryApi
from targetry.compat.api_errors import ApiKeyError, ApiTypeError, ApiValueError
from targetry.errors import ApiException, OpenApiException

__version__ = "1.0.0"  # of the API's client, as in the official package

__all__ = [
    "ApiClient",
    "ApiException",
    "ApiKeyError",
    "ApiTypeError",
    "ApiValueError",
    "Configuration",
    "DeliveryApi",
    "Model",
    "OpenApiException",
    "api",
    "api_client",
    "configuration",
    "exceptions",
]
__all__ += Model.__all__
