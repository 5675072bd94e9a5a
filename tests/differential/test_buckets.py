"""A visitor decided here and there keeps his experience, since he falls into the same bucket."""

from __future__ import annotations

import pytest

from differential.buckets import check_buckets
from differential.node import missing

reason = missing("buckets.cjs")


@pytest.mark.skipif(reason is not None, reason=str(reason))
def test_visitors_fall_into_the_buckets_of_the_official_hash() -> None:
    """RELIABILITY B3; as many as it says: `soak/test_buckets.py`."""
    check_buckets(thousands=2)
