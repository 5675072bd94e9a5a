"""Official import path of `ExecuteRequest`."""

from targetry.models import ExecuteRequest as ExecuteRequest
