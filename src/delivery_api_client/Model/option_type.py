"""Official import path of `OptionType`."""

from targetry.models import OptionType as OptionType
