"""Official import path of `ViewRequest`."""

from targetry.models import ViewRequest as ViewRequest
