"""Responses of mboxes as JSON, encoded once per rule where all visitors get the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from targetry.device.personalize import Template

_encode = msgspec.json.Encoder().encode


class EncodedMboxes:
    """Encoded responses of one rule set; several threads can use it.

    Args:
        response_tokens: Response tokens of all options, which replace those of the rules.
    """

    def __init__(self, response_tokens: Mapping[str, Any]) -> None:
        self.response_tokens = dict(response_tokens)
        self.execute: dict[Template, bytes] = {}
        self.prefetch: dict[Template, bytes] = {}


def encode_without_index(response: Any) -> bytes:
    """Return the JSON of an mbox response without an index, from its first comma or end."""
    return b"," + bytes(_encode(response))[1:]


def with_index(encoded: bytes, index: int) -> msgspec.Raw:
    """Return the JSON of an mbox response, of what `encode_without_index` returned."""
    return msgspec.Raw(b'{"index":%d%b' % (index, encoded))
