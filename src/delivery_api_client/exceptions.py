"""Official import path of the API's exceptions."""

from targetry.compat.api_errors import ApiKeyError as ApiKeyError
from targetry.compat.api_errors import ApiTypeError as ApiTypeError
from targetry.compat.api_errors import ApiValueError as ApiValueError
from targetry.compat.api_errors import render_path as render_path
from targetry.errors import ApiException as ApiException
from targetry.errors import OpenApiException as OpenApiException
