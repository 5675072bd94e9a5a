"""Buckets and allocations of visitors."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import each_case
from targetry.device.logic.allocation import allocation, bucket, buckets, encode_visitor

ANY_TEXT = st.text(st.characters(exclude_categories=()))
VISITOR = "338e3c1e51f7416a8e1ccba4f81acea0.28_0"
WORD = 0xFFFF_FFFF


def utf16_units(text: str) -> list[int]:
    units: list[int] = []
    for point in map(ord, text):
        if point > 0xFFFF:
            units += [0xD800 + (point - 0x10000 >> 10), 0xDC00 + (point - 0x10000 & 0x3FF)]
        else:
            units.append(point)
    return units


def rotated(number: int, by: int) -> int:
    return (number << by | number >> 32 - by) & WORD


def scrambled(block: int) -> int:
    return rotated(block * 0xCC9E2D51 & WORD, 15) * 0x1B873593 & WORD


def reference_hash(text: str) -> int:
    """Return the signed murmur3_x86_32 hash of UTF-16 code units, written out."""
    units = utf16_units(text)
    state = 0
    for i in range(0, len(units) - 1, 2):
        state = rotated(state ^ scrambled(units[i] | units[i + 1] << 16), 13) * 5 + 0xE6546B64 & WORD
    if len(units) % 2:
        state ^= scrambled(units[-1])
    state ^= 2 * len(units)
    state = (state ^ state >> 16) * 0x85EBCA6B & WORD
    state = (state ^ state >> 13) * 0xC2B2AE35 & WORD
    state ^= state >> 16
    return state - (state >> 31 << 32)


@given(ANY_TEXT, st.integers(0, 10**9), st.lists(ANY_TEXT, max_size=5))
def test_buckets_of_many_visitors_are_those_of_each(client: str, activity: int, ids: list[str]) -> None:
    found = buckets(client, activity, map(encode_visitor, ids))
    assert found == [bucket(client, activity, one) for one in ids]


VECTORS = {
    "": 0,
    "a": 1867108634,
    "ab": 374890698,
    "abc": 1118836419,
    "héllo": 493253914,
    "日本": -1532890893,
    "\U0001f600x": -996154910,
    "acmeclient.1111.702ff4d0-83b1-4e2e-a0a6-22cbe460eb15.experience": -919077116,
}


@each_case("text", VECTORS, ids=ascii)
def test_reference_of_these_tests_agrees_with_the_recorded_hashes(text):
    assert reference_hash(text) == VECTORS[text]


@each_case(
    "activity_id, expected",
    [(125873, 48.44), (125871, 87.67), (125880, 75.8), (125883, 17.9), (125884, 56.76), (125897, 28.93)],
)
def test_agrees_with_the_recorded_allocations(activity_id, expected):
    assert allocation("someClientId", activity_id, VISITOR) == expected


@given(client=ANY_TEXT, activity_id=st.integers(), visitor=ANY_TEXT)
@settings(deadline=None)
def test_bucket_is_the_hash_of_the_joined_ids(client, activity_id, visitor):
    expected = abs(reference_hash(f"{client}.{activity_id}.{visitor}.0")) % 10_000

    assert bucket(client, activity_id, visitor) == expected


@each_case("visitor", ["\U0001f600", "a\U0001d4b3", "\ud83d", "\x00", ""], ids=ascii)
def test_ids_beyond_plain_text_are_hashed_by_their_code_units(visitor):
    assert bucket("c", 1, visitor) == abs(reference_hash(f"c.1.{visitor}.0")) % 10_000


def test_character_outside_the_bmp_is_its_two_surrogates():
    assert bucket("c", 1, "\U0001f600") == bucket("c", 1, "\ud83d\ude00")


@given(activity_id=st.integers(), visitor=st.text())
def test_activity_id_is_hashed_as_decimal_text(activity_id, visitor):
    assert bucket("c", activity_id, visitor) == bucket("c", str(activity_id), visitor)


@given(visitor=ANY_TEXT)
def test_allocation_is_the_bucket_in_percent_with_two_decimals(visitor):
    place = allocation("c", 1, visitor)

    assert 0.0 <= place <= 99.99
    assert place == round(bucket("c", 1, visitor) / 10_000 * 100, 2)


@pytest.mark.parametrize("activity_id", [1, 125873])
def test_visitors_are_spread_evenly(activity_id):
    visitors, cells = 20_000, 100
    counts = Counter(bucket("someClientId", activity_id, f"visitor-{i}") // cells for i in range(visitors))
    expected = visitors / cells
    chi_square = sum((counts[cell] - expected) ** 2 / expected for cell in range(cells))

    assert chi_square < 148  # 99 degrees of freedom: exceeded once in a thousand


def test_activities_order_visitors_differently():
    both_low = sum(bucket("c", 1, f"v{i}") < 5000 and bucket("c", 2, f"v{i}") < 5000 for i in range(10_000))

    assert 2_350 < both_low < 2_650
