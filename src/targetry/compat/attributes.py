"""Functions of the official `target_tools.attributes_provider`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from targetry.attributes import AttributesProvider
from targetry.models import DeliveryResponse


def create_indexed(response: DeliveryResponse | None) -> dict[str, dict[str, Any]]:
    """Return the attributes of all JSON offers of a response: mbox name → key → value."""
    return AttributesProvider({"response": response}).indexed


def get_attributes_callback(get_offers_resp: Mapping[str, Any]) -> AttributesProvider:
    """Return the attributes of a result of `get_offers`."""
    return AttributesProvider(get_offers_resp)
