"""Official import path of `UnexpectedError`."""

from targetry.models import UnexpectedError as UnexpectedError
