"""Obfuscation of artifacts: the format `rules.bin`, an XOR with the organization id and a key.

The file is the magic `ATOD:` with a three-digit major version, a key of 32 characters, and the JSON
text combined by XOR with the repeated bytes of organization id and key.
"""

from __future__ import annotations

from typing import Final

from targetry.errors import ArtifactError

MAJOR_VERSION: Final = 1
_MAGIC: Final = b"ATOD:%03d" % MAJOR_VERSION
_KEY_LENGTH: Final = 32
_HEAD_LENGTH: Final = len(_MAGIC) + _KEY_LENGTH


def is_obfuscated(data: bytes) -> bool:
    """Return whether the bytes begin with upper-case letters, a colon and three digits."""
    prefix, colon, version = data[: len(_MAGIC)].partition(b":")
    return bool(colon) and prefix.isalpha() and prefix.isupper() and len(version) == 3 and version.isdigit()


def obfuscate(text: bytes, organization_id: str) -> bytes:
    """Obfuscate an artifact's JSON text.

    The key is derived from the text, so the same artifact always gives the same bytes.
    """
    import hashlib  # loads OpenSSL, which a client that only reads has no use for

    key = hashlib.sha256(text).hexdigest()[:_KEY_LENGTH].encode()
    return _MAGIC + key + _xor(text, _encoded(organization_id) + key)


def deobfuscate(data: bytes, organization_id: str) -> bytes:
    """Return the text of an obfuscated artifact; with another organization's id it is not JSON.

    Raises:
        ArtifactError: The major version is not supported, or the data ends within the key.
    """
    version = data[len(_MAGIC) - 3 : len(_MAGIC)]
    if int(version) != MAJOR_VERSION or len(data) < _HEAD_LENGTH:
        raise ArtifactError("Invalid Artifact")
    return _xor(data[_HEAD_LENGTH:], _encoded(organization_id) + data[len(_MAGIC) : _HEAD_LENGTH])


def _encoded(organization_id: str) -> bytes:
    return organization_id.encode("utf-8", "surrogatepass")


def _xor(data: bytes, key: bytes) -> bytes:
    stream = (key * (len(data) // len(key) + 1))[: len(data)]
    return (int.from_bytes(stream, "little") ^ int.from_bytes(data, "little")).to_bytes(len(data), "little")
