"""The official place of `AudienceManager`."""

from targetry.models import AudienceManager as AudienceManager
