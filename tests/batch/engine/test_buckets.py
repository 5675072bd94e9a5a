"""Buckets of columns of ids, compared with the bucket of each id."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.examples import examples
from targetry.batch.engine.buckets import VisitorBuckets
from targetry.device.logic.allocation import bucket

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
ASCII = st.text(st.characters(max_codepoint=127), max_size=100)


@settings(max_examples=examples(100))
@given(
    st.lists(ASCII | ANY_TEXT, max_size=30),
    st.text(max_size=9),
    st.lists(st.text(max_size=9), min_size=1, max_size=4),
    st.integers(0, 5),
)
def test_buckets_of_a_column_equal_those_of_each_id(
    visitors: list[str], client: str, activities: list[str], first: int
) -> None:
    column = pa.array(visitors, pa.string()).slice(first)
    buckets = VisitorBuckets(client, column)
    buckets.prepare(activities[:-1])
    for activity in activities:
        assert buckets.of(activity).tolist() == [bucket(client, activity, one) for one in visitors[first:]]


@pytest.mark.parametrize("share", [1, 5])
def test_buckets_of_some_rows_are_those_of_these_visitors(share: int) -> None:
    visitors = [f"visitor-{number:0{number % 9}d}" for number in range(200)]
    rows = np.arange(0, 200, share)
    buckets = VisitorBuckets("acme", pa.array(visitors)).of("7", rows)
    assert buckets.tolist() == [bucket("acme", "7", visitors[row]) for row in rows]


@pytest.mark.parametrize(
    "text", ["visitor-{:04d}", "{:x}", "é{:05d}"], ids=["one length", "any", "not ascii"]
)
def test_buckets_of_several_activities_are_those_of_each(text: str) -> None:
    visitors = [text.format(number) for number in range(300)]
    activities = ["7", "77", "1234567"]
    for rows in (np.arange(0, 300, 7), np.arange(300), np.arange(0)):
        buckets = VisitorBuckets("acme", pa.array(visitors)).of_each(activities, rows)
        assert buckets.tolist() == [
            [bucket("acme", one, visitors[row]) for row in rows] for one in activities
        ]


def test_buckets_of_more_rows_than_a_piece_are_in_their_order() -> None:
    visitors = [f"{number:x}" for number in range(40_000)]
    buckets = VisitorBuckets("acme", pa.array(visitors)).of("482910")
    for row in (0, 32_767, 32_768, 39_999):
        assert buckets[row] == bucket("acme", "482910", visitors[row])
