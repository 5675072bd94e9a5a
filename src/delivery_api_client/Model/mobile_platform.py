"""The official place of `MobilePlatform`."""

from targetry.models import MobilePlatform as MobilePlatform
