"""Buckets equal those of the official hash."""

from __future__ import annotations

import pytest

from differential.buckets import check_buckets
from differential.node import missing

reason = missing("buckets.cjs")


@pytest.mark.skipif(reason is not None, reason=str(reason))
def test_buckets_equal_those_of_the_official_hash() -> None:
    """Compare some thousands of buckets; `soak/test_buckets.py` compares more."""
    check_buckets(thousands=2)
