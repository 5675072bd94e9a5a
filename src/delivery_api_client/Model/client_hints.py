"""The official place of `ClientHints`."""

from targetry.models import ClientHints as ClientHints
