from __future__ import annotations

import subprocess
import sys

import mmh3
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from targetry.device.logic.allocation import bucket
from targetry.device.logic.murmur3 import murmur3


@given(st.binary(max_size=300), st.integers(0, 2**32 - 1))
@example(b"\xff\xff\xff", 0)
def test_hash_equals_that_of_the_extension(data: bytes, seed: int) -> None:
    assert murmur3(data, seed) == mmh3.hash(data, seed)


@pytest.mark.parametrize(("data", "value"), [(b"", 0), (b"a", 1009084850), (b"abcd", 1139631978)])
def test_hash_of_known_data(data: bytes, value: int) -> None:
    assert murmur3(data) == value


def test_buckets_are_the_same_without_the_extension() -> None:
    program = (
        "import sys; sys.modules['mmh3'] = None\n"
        "from targetry.device.logic.allocation import bucket\n"
        "print(*(bucket('acme', 1000, f'visitor {number} \\U0001f600') for number in range(200)))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    expected = [bucket("acme", 1000, f"visitor {number} \U0001f600") for number in range(200)]
    assert list(map(int, found.split())) == expected
