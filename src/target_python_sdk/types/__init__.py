"""Result types."""

from target_python_sdk.types import target_delivery_response as target_delivery_response
