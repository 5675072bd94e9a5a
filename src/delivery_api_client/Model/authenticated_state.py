"""The official place of `AuthenticatedState`."""

from targetry.models import AuthenticatedState as AuthenticatedState
