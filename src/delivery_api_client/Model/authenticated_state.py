"""Official import path of `AuthenticatedState`."""

from targetry.models import AuthenticatedState as AuthenticatedState
