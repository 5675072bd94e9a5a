"""Official import path of `ExecuteResponse`."""

from targetry.models import ExecuteResponse as ExecuteResponse
