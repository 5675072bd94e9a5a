"""Official import path of `ExecutionMode`."""

from targetry.models import ExecutionMode as ExecutionMode
