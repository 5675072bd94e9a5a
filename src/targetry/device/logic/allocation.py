"""Allocation of visitors: the bucket of a visitor in an activity.

The result equals that of Target's edge servers, so a visitor who is decided here and there keeps
the same experience. The hash is MurmurHash3 (x86, 32 bit) of the UTF-16 code units, as JavaScript
and Java hold a text: a character outside the BMP counts as two units, a lone surrogate as one. The
hash is signed, and its absolute value counts.
"""

from __future__ import annotations

from codecs import utf_16_le_encode
from collections.abc import Iterable
from typing import Final

try:
    from mmh3 import hash as murmur3
except ImportError:  # WebAssembly
    from targetry.device.logic.murmur3 import murmur3  # type: ignore[assignment]

BUCKETS: Final = 10_000
"""Buckets of an activity, each a hundredth of a percent of its visitors."""


def bucket(client: str, activity_id: int | str, visitor: str) -> int:
    """Return the visitor's bucket, 0 to 9999.

    Args:
        client: The client code.
        activity_id: The activity.
        visitor: The id for bucketing, a tntId without its profile location.
    """
    text = f"{client}.{activity_id}.{visitor}.0"  # the last part is a salt
    units, _ = utf_16_le_encode(text, "surrogatepass")  # four times as fast as `text.encode`
    return abs(murmur3(units, 0)) % BUCKETS


def encode_visitor(visitor: str) -> bytes:
    """Return the visitor's part of the hashed text, for `buckets`."""
    units, _ = utf_16_le_encode(f"{visitor}.0", "surrogatepass")
    return units


def buckets(client: str, activity_id: int | str, visitors: Iterable[bytes]) -> list[int]:
    """Return the buckets of many visitors, as of `bucket` in a third of its time.

    Args:
        client: The client code.
        activity_id: The activity.
        visitors: The visitors, each as `encode_visitor` returns it.
    """
    before, _ = utf_16_le_encode(f"{client}.{activity_id}.", "surrogatepass")
    return [abs(murmur3(before + one, 0)) % BUCKETS for one in visitors]


def allocation(client: str, activity_id: int | str, visitor: str) -> float:
    """Return the visitor's allocation in percent, 0.0 to 99.99 with two decimals."""
    return bucket(client, activity_id, visitor) / 100
