"""The official place of `OptionType`."""

from targetry.models import OptionType as OptionType
