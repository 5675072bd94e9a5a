"""The official place of `ChannelType`."""

from targetry.models import ChannelType as ChannelType
