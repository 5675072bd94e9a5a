"""The official place of `ViewRequest`."""

from targetry.models import ViewRequest as ViewRequest
