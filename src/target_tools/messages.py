"""Texts that the client and the engine share."""

from targetry.messages import DECISIONING_ENGINE_NOT_READY as DECISIONING_ENGINE_NOT_READY
from targetry.messages import attribute_not_exist as attribute_not_exist
from targetry.messages import property_token_mismatch as property_token_mismatch
