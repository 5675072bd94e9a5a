"""Official import path of `AudienceManager`."""

from targetry.models import AudienceManager as AudienceManager
