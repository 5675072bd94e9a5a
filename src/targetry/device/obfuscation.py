"""`rules.bin`: the artifact as Node SDKs may ask for it (spec/decisioning.md §2.4)."""

from __future__ import annotations

import hashlib
from typing import Final

_MAGIC: Final = b"ATOD:001"
_KEY_LENGTH: Final = 32


def obfuscate(text: bytes, organization_id: str) -> bytes:
    """Hide an artifact's JSON text. The key comes from the text, so the same artifact always gives the same bytes."""
    key = hashlib.sha256(text).hexdigest()[:_KEY_LENGTH].encode()
    secret = organization_id.encode("utf-8", "surrogatepass") + key
    stream = (secret * (len(text) // len(secret) + 1))[: len(text)]
    hidden = int.from_bytes(stream, "little") ^ int.from_bytes(text, "little")
    return _MAGIC + key + hidden.to_bytes(len(text), "little")
