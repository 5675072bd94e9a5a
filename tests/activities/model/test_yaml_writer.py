from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from support.cases import each_case
from targetry.activities.model.yaml_values import parse_yaml
from targetry.activities.model.yaml_writer import write_yaml

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(
    [
        "null",
        "true",
        "1",
        "1e3",
        "-",
        "- a",
        "a: b",
        "a #b",
        "#",
        "a\nb",
        "a\nb\n",
        "\n\na\n\n",
        "<<",
        "é\u2028",
        " x",
        "x ",
        "~",
        "a\tb",
        "\ufeff",
        "\x85",
        "a\r\nb",
        "|",
        "a\n  b\n",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(TEXTS | st.text("k", min_size=120, max_size=130), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_every_value_is_read_back(value: Any) -> None:
    back = parse_yaml(write_yaml({"value": value})).value["value"]
    assert back == value
    assert repr(back) == repr(value)


@each_case(
    "value, text",
    [
        (
            {"a": 1, "b": [{"c": "x", "d": None}, "y"]},
            "a: 1\nb:\n- c: x\n  d: null\n- 'y'\n".replace("'y'", "y"),
        ),
        ({"a": 'geo.country == "US"'}, 'a: geo.country == "US"\n'),
        ({"a": "it's: so"}, "a: 'it''s: so'\n"),
        ({"a": "<b>\n  x\n</b>\n"}, "a: |\n  <b>\n    x\n  </b>\n"),
        ({"a": "x\ny"}, "a: |-\n  x\n  y\n"),
        ({"a": [[0, 50], [60, 100]]}, "a: [[0, 50], [60, 100]]\n"),
        ({"a": "12", "b": "no", "c": "true"}, "a: '12'\nb: no\nc: 'true'\n"),
        ({}, "{}\n"),
    ],
)
def test_documents_are_easy_to_read(value: Any, text: str) -> None:
    assert write_yaml(value) == text
