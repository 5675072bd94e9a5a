"""The official place of `QAModePreviewIndex`."""

from targetry.models import QAModePreviewIndex as QAModePreviewIndex
