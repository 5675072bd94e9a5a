"""Sample artifact: a small fictional shop in the format of Target's artifacts.

It has a hero split 50/30/20 (`hero`), a feature flag (`checkout-flags`), notes by country and
browser (`delivery-note`), greetings with macros for requests with the parameter `member.tier`
(`greeting`), content that depends on the time (`promo`), content for one property (`app-banner`), a
page load with actions, the views `cart` and `confirmation`, and an mbox that only the Delivery API
can decide (`recommendations`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

__all__ = ["shop", "shop_path"]


def shop() -> dict[str, Any]:
    """Return the artifact as a new dict, for the option `artifact_payload`."""
    document: dict[str, Any] = msgspec.json.decode(shop_path().read_bytes())
    return document


def shop_path() -> Path:
    """Return the path of the artifact, for the option `artifact_location`."""
    return Path(__file__).with_name("shop.json")
