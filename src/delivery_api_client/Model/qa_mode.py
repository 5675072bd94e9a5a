"""The official place of `QAMode`."""

from targetry.models import QAMode as QAMode
