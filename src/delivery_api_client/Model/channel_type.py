"""Official import path of `ChannelType`."""

from targetry.models import ChannelType as ChannelType
