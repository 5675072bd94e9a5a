"""Official import path of `Preview`."""

from targetry.models import Preview as Preview
