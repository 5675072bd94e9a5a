"""The official place of `ApiClient`."""

from targetry.official.api_client import ApiClient as ApiClient
