"""The official place of `ExecuteResponse`."""

from targetry.models import ExecuteResponse as ExecuteResponse
