"""The official place of `ExecuteRequest`."""

from targetry.models import ExecuteRequest as ExecuteRequest
