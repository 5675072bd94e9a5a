"""Official import path of `Context`."""

from targetry.models import Context as Context
