"""Official import path of `DeviceType`."""

from targetry.models import DeviceType as DeviceType
