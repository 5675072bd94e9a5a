"""Official import path of `QAMode`."""

from targetry.models import QAMode as QAMode
