"""The official place of `DeviceType`."""

from targetry.models import DeviceType as DeviceType
