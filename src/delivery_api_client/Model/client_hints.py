"""Official import path of `ClientHints`."""

from targetry.models import ClientHints as ClientHints
