"""The official place of `ExecutionMode`."""

from targetry.models import ExecutionMode as ExecutionMode
