"""Official import path of `MboxRequest`."""

from targetry.models import MboxRequest as MboxRequest
