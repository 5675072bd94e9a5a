"""Derived ids and event tokens: the same for the same keys, on every machine."""

from __future__ import annotations

import base64
import hashlib
from typing import Final

_FIRST_ID: Final = 1_000_000_000
_OPTION_TOKEN_BYTES: Final = 64
_METRIC_TOKEN_BYTES: Final = 16


def derived_id(client: str, key: str) -> int:
    """Return the id of a key, which fits 32 bits: 1,000,000,000 to 1,999,999,999.

    Args:
        client: The client code.
        key: The key of an activity, or `audience/<name>`, `group/<name>`, `offer/<path>`.
    """
    digest = hashlib.sha256(_bytes(f"{client}/{key}")).digest()
    return _FIRST_ID + int.from_bytes(digest[:8]) % _FIRST_ID


def option_token(place: str) -> str:
    """Return the event token of an option: 88 characters, as Target's have."""
    return _token(f"targetry/1/option/{place}", _OPTION_TOKEN_BYTES)


def metric_token(place: str, metric: str) -> str:
    """Return the event token of a metric at a place: 24 characters, as Target's have."""
    return _token(f"targetry/1/metric/{place}/{metric}", _METRIC_TOKEN_BYTES)


def _token(text: str, size: int) -> str:
    return base64.b64encode(hashlib.shake_256(_bytes(text)).digest(size)).decode()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
