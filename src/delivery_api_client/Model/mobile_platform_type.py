"""Official import path of `MobilePlatformType`."""

from targetry.models import MobilePlatformType as MobilePlatformType
