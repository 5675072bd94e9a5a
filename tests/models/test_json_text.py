"""Errors of JSON text name the path of the wrong value."""

from __future__ import annotations

import json
import tracemalloc

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.cases import each_case
from targetry.models.json_text import object_error

HALF = "holds a lone surrogate, which is half of a character; replace it by U+FFFD"


@each_case(
    "text, error",
    [
        pytest.param(b"", "body: is not JSON: Expecting value at character 0", id="empty"),
        pytest.param(b"[]", "body: must be a JSON object", id="array"),
        pytest.param(b"null", "body: must be a JSON object", id="null"),
        pytest.param(b'{"a":NaN}', "body: holds a number that is not finite or out of range", id="NaN"),
        pytest.param(b'{"a":1e400}', "body: holds a number that is not finite or out of range", id="range"),
        pytest.param(b"\xff", "body: is not UTF-8 text: invalid start byte at byte 0", id="no UTF-8"),
        pytest.param(b'{"a":' * 99_999, "body: is nested too deeply", id="deep"),
        pytest.param(b'{"a":"\\ud800"}', f"body.a: {HALF}", id="text"),
        pytest.param(b'{"a":[1,{"b":"x\\udc00"}]}', f"body.a[1].b: {HALF}", id="in an array"),
        pytest.param(b'{"a":{"\\ud800":1}}', f"body.a: {HALF}", id="name"),
    ],
)
def test_error_names_the_wrong_value(text: bytes, error: str) -> None:
    assert str(object_error(text, "body")) == error


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=3))
def test_object_without_a_lone_surrogate_is_decoded(value: dict[str, object]) -> None:
    text = json.dumps(value).encode()
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        assert str(object_error(text, "body")).endswith(HALF)


def test_long_name_is_not_repeated_for_each_value() -> None:
    text = b'{"%b":[%b"\\ud800"]}' % (b"n" * 100_000, b"1," * 10_000)
    tracemalloc.start()
    try:
        error = object_error(text, "body")
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    assert str(error) == f"body.{'n' * 128}[10000]: {HALF}"
