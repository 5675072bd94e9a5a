from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.cases import each_case
from targetry.activities.model.yaml_values import YamlError, parse_yaml

SCALARS: list[tuple[str, Any]] = [
    ("null", None),
    ("~", None),
    ("", None),
    ("true", True),
    ("false", False),
    ("12", 12),
    ("-7", -7),
    ("1.5", 1.5),
    (".5", 0.5),
    ("1e3", 1000.0),
    ("no", "no"),
    ("on", "on"),
    ("NO", "NO"),
    ("True", "True"),
    ("12:30", "12:30"),
    ("2021-01-01", "2021-01-01"),
    ("0o17", "0o17"),
    ("0x1F", "0x1F"),
    ("1_000", "1_000"),
    (".inf", ".inf"),
    ("٣", "٣"),
    ("'12'", "12"),
    ('"true"', "true"),
]
REJECTED = [
    ("duplicate key", "a: 1\nb: 2\na: 3\n", (3, 1), "the key 'a' is given twice"),
    ("tag", "a: !!int '3'\n", (1, 4), "tag:yaml.org,2002:int"),
    ("own tag", "a: !secret x\n", (1, 4), "tag"),
    ("tag of a map", "a: !!omap {b: 1}\n", (1, 4), "tag"),
    ("merge key", "a: &a {x: 1}\nb:\n  <<: *a\n", (3, 3), "merge key"),
    ("two documents", "a: 1\n---\nb: 2\n", (2, 1), "several documents"),
    ("key that is a list", "? [a]\n: 1\n", (1, 3), "a key is a list or a map"),
    ("cycle", "a: &a [*a]\n", (1, 8), "within its own value"),
    ("unknown alias", "a: *b\n", (1, 4), "the alias *b"),
    (
        "bomb",
        "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 10)}]\n" for n in range(8)
        ),
        (4, 29),
        "aliases",
    ),
    ("depth", "[" * 101, (1, 101), "deeper than 100"),
    ("open quote", "a: 'x\n", (2, 1), "end of stream"),
    ("control character", "a: 1\nb: \x07\n", (2, 4), "character that YAML does not allow"),
    ("long number", f"a: {'9' * 5000}\n", (1, 4), "too long"),
    ("infinite number", "a: 1e999\n", (1, 4), "too large"),
]


@each_case("text, expected", SCALARS, ids=str)
def test_scalars_are_those_of_the_core_schema(text: str, expected: Any) -> None:
    value = parse_yaml(f"a: {text}\n").value["a"]
    assert (value, type(value)) == (expected, type(expected))


@each_case("name, text, position, message", REJECTED, ids=lambda case: case[0])
def test_other_yaml_is_rejected_at_its_position(
    name: str, text: str, position: tuple[int, int], message: str
) -> None:
    with pytest.raises(YamlError) as caught:
        parse_yaml(text)
    assert message in str(caught.value)
    assert (caught.value.line, caught.value.column) == position


def test_endless_depth_is_rejected() -> None:
    with pytest.raises(YamlError):
        parse_yaml("[" * 100_000)


def test_each_value_and_key_has_its_position() -> None:
    document = parse_yaml("a: 1\nb:\n  - c: [x, {d: 'e'}]\n    long key.with[odd]: 2\n")
    assert {path: mark[:2] for path, mark in document.marks.items()} == {
        "": (1, 1),
        "a": (1, 4),
        "b": (3, 3),
        "b[0]": (3, 5),
        "b[0].c": (3, 8),
        "b[0].c[0]": (3, 9),
        "b[0].c[1]": (3, 12),
        "b[0].c[1].d": (3, 16),
        "b[0].long key_with_odd_": (4, 25),
    }
    assert document.keys["b[0].c[1].d"][:2] == (3, 13)


def test_unknown_path_has_the_position_of_what_contains_it() -> None:
    document = parse_yaml("a:\n  - b: 1\n")
    assert document.mark("a[0].missing[3].deep")[:2] == (2, 5)
    assert document.mark("other")[:2] == (1, 1)


def test_alias_stands_for_its_value_at_its_own_position() -> None:
    document = parse_yaml("a: &x {b: [1, 2]}\nc: *x\n")
    assert document.value == {"a": {"b": [1, 2]}, "c": {"b": [1, 2]}}
    assert document.mark("c.b[1]")[:2] == (2, 4)


@each_case(
    "text, expected",
    [
        ("a: geo.x == 1\n", (1, 10)),
        ("a: 'geo.x == 1'\n", (1, 11)),
        ('a: "geo.x == \\"1\\""\n', (1, 4)),
        ("a: |\n  geo.x == 1\n", (2, 9)),
        ("a:\n  - |-\n\n      geo.x == 1\n", (3, 13)),
        ("a: >\n  geo.x == 1\n", (1, 4)),
        ("a: geo.x\n  == 1\n", (1, 4)),
    ],
    ids=str,
)
def test_position_within_a_text_becomes_one_of_the_file(text: str, expected: tuple[int, int]) -> None:
    document = parse_yaml(text)
    path = "a" if isinstance(document.value["a"], str) else "a[0]"
    assert document.mark(path).at(1, 7) == expected


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_rejected_within_it(text: str) -> None:
    position = (1, 1)
    try:
        parse_yaml(text)
    except YamlError as error:
        position = (error.line, error.column)
    assert 1 <= position[0] <= len(text.splitlines()) + 1
    assert position[1] >= 1
