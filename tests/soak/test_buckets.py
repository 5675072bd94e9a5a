"""Buckets of a million visitors in ten activities, as `tests/differential/test_buckets.py`.

TARGETRY_SOAK=1 pytest tests/soak/test_buckets.py        # a minute or two
"""

from __future__ import annotations

import os

import pytest

from differential.buckets import check_buckets
from differential.node import missing

SCALE = int(os.environ.get("TARGETRY_SOAK") or 1)

reason = missing("buckets.cjs")


@pytest.mark.skipif(reason is not None, reason=str(reason))
def test_million_visitors_have_the_buckets_of_the_official_hash() -> None:
    check_buckets(thousands=1000 * SCALE)
