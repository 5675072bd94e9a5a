"""Official import path of `QAModePreviewIndex`."""

from targetry.models import QAModePreviewIndex as QAModePreviewIndex
