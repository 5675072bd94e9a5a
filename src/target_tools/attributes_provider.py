"""Official import path of `AttributesProvider`."""

from targetry import AttributesProvider as AttributesProvider
from targetry.compat.attributes import create_indexed as create_indexed
from targetry.compat.attributes import get_attributes_callback as get_attributes_callback
from targetry.compat.requests import REQUEST_TYPES as REQUEST_TYPES
from targetry.messages import attribute_not_exist as attribute_not_exist
from targetry.models import OptionType as OptionType
