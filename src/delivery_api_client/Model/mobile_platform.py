"""Official import path of `MobilePlatform`."""

from targetry.models import MobilePlatform as MobilePlatform
