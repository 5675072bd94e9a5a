"""Official import path of `PageLoadResponse`."""

from targetry.models import PageLoadResponse as PageLoadResponse
