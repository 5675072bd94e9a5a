"""The official place of `MboxRequest`."""

from targetry.models import MboxRequest as MboxRequest
