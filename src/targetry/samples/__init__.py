"""A rule artifact to try things with: a small shop of our own making, of the shape that Target's artifacts have.

It holds a hero split 50/30/20 (`hero`), a feature flag (`checkout-flags`), notes by country and browser (`delivery-note`),
greetings with macros for who passes the parameter `member.tier` (`greeting`), what depends on the clock (`promo`), what
belongs to one property (`app-banner`), a pageLoad with actions, the views `cart` and `confirmation`, and an mbox that only
the Delivery API can decide (`recommendations`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

__all__ = ["shop", "shop_path"]


def shop() -> dict[str, Any]:
    """The artifact, for the option `artifact_payload`; a new dict each time."""
    document: dict[str, Any] = msgspec.json.decode(shop_path().read_bytes())
    return document


def shop_path() -> Path:
    """The artifact's file, for the option `artifact_location`."""
    return Path(__file__).with_name("shop.json")
