"""Official import path of `ApiClient`."""

from targetry.compat.api_client import ApiClient as ApiClient
from targetry.compat.api_client import Configuration as Configuration
from targetry.compat.api_errors import ApiValueError as ApiValueError
from targetry.errors import ApiException as ApiException
