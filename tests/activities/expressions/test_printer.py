"""Conditions are printed as expressions that are parsed as the same conditions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import each_case
from support.examples import examples
from targetry import samples
from targetry.activities.expressions import parse_expression, print_expression

X = {"var": "mbox.x"}
CLOCK = {"var": "current_timestamp"}

PRINTED: dict[str, Any] = {
    'user.browserType == "ie"': {"==": [{"var": "user.browserType"}, "ie"]},
    '"a" == mbox.x and ("b" == mbox.y and mbox["odd-name"])': {
        "and": [{"==": ["a", X]}, {"and": [{"==": ["b", {"var": "mbox.y"}]}, {"var": "mbox.odd-name"}]}]
    },
    "(mbox.x or 1) and not (mbox.x and 2)": {"and": [{"or": [X, 1]}, {"!": {"and": [X, 2]}}]},
    "not mbox.x == 1": {"!": {"==": [X, 1]}},
    "(not mbox.x) == 1": {"==": [{"!": X}, 1]},
    "mbox.x - (1 - 2) - 3": {"-": [{"-": [X, {"-": [1, 2]}]}, 3]},
    "(mbox.x + 1) * 2": {"*": [{"+": [X, 1]}, 2]},
    "mbox.x - -1": {"-": [X, -1]},
    "-(mbox.x + 1)": {"-": {"+": [X, 1]}},
    '"a" if mbox.x else ("b" if 1 else 2) == 3': {"if": [X, "a", {"==": [{"if": [1, "b", 2]}, 3]}]},
    "mbox.x in [1, [2]]": {"in": [X, [1, [2]]]},
    "mbox.x not in [1]": {"!": {"in": [X, [1]]}},
    'contains(mbox.x, "a")': {"in": ["a", X]},
    'not contains(mbox.x, "a")': {"!": {"in": ["a", X]}},
    'starts_with(mbox.x, "ab")': {"==": [{"substr": [X, 0, 2]}, "ab"]},
    'substr(mbox.x, 0, 3) == "ab"': {"==": [{"substr": [X, 0, 3]}, "ab"]},
    'substr(mbox.x, 0, 2.0) == "ab"': {"==": [{"substr": [X, 0, 2.0]}, "ab"]},
    'ends_with(mbox.x, "ab")': {"==": [{"substr": [X, -2]}, "ab"]},
    'substr(mbox.x, 0, 2) == "\U0001f600"': {"==": [{"substr": [X, 0, 2]}, "\U0001f600"]},
    'at("2026-01-02T03:04:05.006Z") <= current_timestamp': {"<=": [1767323045006, CLOCK]},
    'at("2026-01-02T03:04:05Z") < current_timestamp < 5': {"<": [1767323045000, CLOCK, 5]},
    'mbox.a["class"]["b c"]["1"][""]': {"var": "mbox.a.class.b c.1."},
    'var("odd")': {"var": "odd"},
    'var("mbox")': {"var": "mbox"},
    'var("mbox.x", 7)': {"var": ["mbox.x", 7]},
    'var(["mbox.x"])': {"var": ["mbox.x"]},
    "var(mbox.x)": {"var": X},
    'all_of(mbox.x) or any_of("a")': {"or": [{"and": [X]}, {"or": ["a"]}]},
    'raw(\'{"!":[{"var":"mbox.x"}]}\')': {"!": [X]},
    r"""raw('{"map":["it\'s \\"quoted\\" \\u2028",{}]}')""": {"map": ['it\'s "quoted" \u2028', {}]},
    r'"\ud83d \u0000 \u200b é"': "\ud83d \0 \u200b é",
    "[True, False, None, 1, 1.0, -2, 1e+16]": [True, False, None, 1, 1.0, -2, 1e16],
}


@each_case("text, logic", PRINTED.items(), ids=PRINTED)
def test_each_condition_has_its_text(text: str, logic: Any) -> None:
    assert print_expression(logic) == text
    assert json.dumps(parse_expression(text, {})) == json.dumps(logic)


ARTIFACTS = Path(__file__).parents[4] / "shared" / "conformance" / "artifacts"


def conditions(document: dict[str, Any]) -> Iterator[Any]:
    rules = document["rules"]
    for kind in ("mboxes", "views"):
        for location in rules[kind].values():
            yield from (rule["condition"] for rule in location)


def check_round_trip(logic: Any) -> str:
    text = print_expression(logic)
    assert json.dumps(parse_expression(text, {})) == json.dumps(logic)
    return text


def test_conditions_of_the_sample_need_no_raw_json() -> None:
    for logic in conditions(samples.shop()):
        assert "raw(" not in check_round_trip(logic)


@pytest.mark.skipif(not ARTIFACTS.is_dir(), reason="there are no conformance artifacts")
def test_conditions_of_real_artifacts_need_no_raw_json() -> None:
    texts = [
        check_round_trip(logic)
        for file in ARTIFACTS.glob("*.json")
        for logic in conditions(json.loads(file.read_text("utf-8")))
    ]
    assert texts
    assert not [text for text in texts if "raw(" in text]


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0.0, -0.0, 1.0, 1767323045000, 1767323045000.0])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=()), max_size=5)
)
PATHS = st.sampled_from(
    [
        "geo.country",
        "mbox.x",
        "mbox.b c",
        "mbox.if",
        "mbox",
        "current_timestamp",
        "allocation",
        "",
        "odd.path",
    ]
)
NAMES = st.sampled_from(
    [
        *("==", "!=", "===", "!==", "<", "<=", ">", ">=", "in", "and", "or", "!", "!!", "if", "?:", "var"),
        *("+", "-", "*", "/", "%", "min", "max", "cat", "substr", "merge", "missing", "missing_some"),
        *("map", "filter", "all", "log", "unknown", "raw", "at"),
    ]
)
trees = st.recursive(
    scalars | PATHS.map(lambda path: {"var": path}),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.builds(lambda name, operands: {name: operands}, NAMES, st.lists(inner, max_size=4))
        | st.builds(lambda name, operand: {name: operand}, NAMES, inner)
        | st.builds(
            lambda x, text, more: {"==": [{"substr": [x, *more]}, text]},
            inner,
            st.text(max_size=3),
            st.lists(st.integers(-3, 3), max_size=2),
        )
        | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=12,
)


@settings(max_examples=examples(400))
@given(trees)
def test_any_condition_is_printed_and_parsed_as_itself(logic: Any) -> None:
    check_round_trip(logic)


def test_deep_condition_is_printed_and_parsed_as_itself() -> None:
    logic: Any = X
    for _ in range(98):
        logic = {"!": logic}
    assert "raw(" in check_round_trip(logic)
