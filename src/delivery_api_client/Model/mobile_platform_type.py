"""The official place of `MobilePlatformType`."""

from targetry.models import MobilePlatformType as MobilePlatformType
