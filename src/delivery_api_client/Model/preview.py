"""The official place of `Preview`."""

from targetry.models import Preview as Preview
