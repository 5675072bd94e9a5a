"""The official place of `UnexpectedError`."""

from targetry.models import UnexpectedError as UnexpectedError
