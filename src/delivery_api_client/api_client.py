"""The official place of `ApiClient`."""

from targetry.errors import ApiException as ApiException
from targetry.official.api_client import ApiClient as ApiClient
from targetry.official.api_client import Configuration as Configuration
from targetry.official.api_errors import ApiValueError as ApiValueError
