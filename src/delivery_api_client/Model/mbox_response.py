"""The official place of `MboxResponse`."""

from targetry.models import MboxResponse as MboxResponse
