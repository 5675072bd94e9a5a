"""The official place of `Context`."""

from targetry.models import Context as Context
