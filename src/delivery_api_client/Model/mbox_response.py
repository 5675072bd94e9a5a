"""Official import path of `MboxResponse`."""

from targetry.models import MboxResponse as MboxResponse
