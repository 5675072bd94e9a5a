"""Compiled JSON Logic, compared with a plain interpreter."""

from __future__ import annotations

import builtins
import inspect
import itertools
import math
import sys
import types
from collections.abc import Iterator
from typing import Any

import json_logic
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from support import logic_interpreter
from support.cases import each_case
from support.device import facts
from support.examples import examples
from support.slow import slow
from targetry.device.logic.compiler import MAX_DEPTH, LogicError, compile_logic
from targetry.device.logic.facts import Facts
from targetry.device.logic.javascript import UNDEFINED
from targetry.device.logic.operators import EvaluationError
from targetry.device.logic.operators import __all__ as functions
from targetry.models import Geo, MboxRequest

NAN, INF = math.nan, math.inf
PLACE = Geo(country_code="us", city="Zürich", latitude=37.75)
ALLOCATION = 48.44
DATA: dict[str, Any] = {
    "t": "gold",
    "u": "Größe",
    "e": "",
    "n": 42,
    "f": 0.5,
    "digits": "42",
    "big": 2**53 + 1,
    "yes": True,
    "no": False,
    "null": None,
    "nan": NAN,
    "inf": INF,
    "list": [1, "2", None, [3]],
    "words": ["gold", "silver"],
    "rows": [{"a": 1, "b": "x"}, {"a": 2}, {"b": None}],
    "a.b": "Nested",
    "emoji": "a\U0001f600b",
    "lone": "\ud801x",
    "odd": {"nan": NAN, "empty": {}, "none": []},
}


def value_of(tree: Any, of: Facts | None = None, allocation: float | None = ALLOCATION) -> Any:
    of = of or facts(DATA, url="https://www.shop.example.co.uk/A/b?q=1#top", geo=PLACE)
    return compile_logic(tree, as_truth=False).evaluate(of, allocation)


def plain(value: Any) -> Any:
    """Return a value in a form that is equal only if JavaScript cannot distinguish the values."""
    if value is UNDEFINED or value is logic_interpreter.NOTHING:
        return "undefined", None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number", logic_interpreter.text(value)
    if isinstance(value, list):
        return "list", [plain(item) for item in value]
    if isinstance(value, dict):
        return "object", {key: plain(item) for key, item in value.items()}
    return type(value).__name__, value


def var(path: Any) -> dict[str, Any]:
    return {"var": path}


# ── operators one by one ───

ITEM = {"var": ""}
CASES: list[tuple[Any, Any]] = [
    # literals
    (True, True),
    (None, None),
    (5, 5),
    ("a", "a"),
    ([1, {"var": "mbox.n"}], [1, 42]),
    ({}, {}),
    ({"a": 1, "b": {"var": "mbox.n"}}, {"a": 1, "b": {"var": "mbox.n"}}),
    # var
    ({"var": "mbox.t"}, "gold"),
    ({"var": ["mbox.t"]}, "gold"),
    ({"var": "mbox.nope"}, None),
    ({"var": ["mbox.nope", "default"]}, "default"),
    ({"var": ["mbox.nope", {"var": "mbox.n"}]}, 42),
    ({"var": ["mbox.nope", "default", "more"]}, "default"),
    ({"var": ["mbox.t", "default", "more"]}, "gold"),
    ({"var": "user.locale"}, "en"),
    ({"var": ["mbox.null", "default"]}, None),
    ({"var": ["mbox.null.x", "default"]}, "default"),
    ({"var": ["mbox.t.x", "default"]}, "default"),
    ({"var": ["nope.x", "default"]}, "default"),
    ({"var": "mbox.list.1"}, "2"),
    ({"var": "mbox.list.3.0"}, 3),
    ({"var": "mbox.list.9"}, None),
    ({"var": "mbox.list.length"}, 4),
    ({"var": "mbox.t.length"}, 4),
    ({"var": "mbox.t.0"}, "g"),
    ({"var": "mbox.emoji.length"}, 4),
    ({"var": "mbox.a.b"}, "Nested"),
    ({"var": "mbox.a.b_lc"}, "nested"),
    ({"var": {"cat": ["mbox.", "t"]}}, "gold"),
    ({"var": [{"cat": ["mbox.", "nope"]}, 7]}, 7),
    ({"var": [{"cat": ["mbox.nope", ".x"]}, 7]}, 7),
    ({"map": [[{"a": 1, "b": 2}], {"var": "a"}]}, [1]),
    ({"map": [["ab"], {"var": 1}]}, ["b"]),
    ({"map": [["ab"], {"var": 1.0}]}, ["b"]),
    ({"map": [[None], {"var": ["a", 3]}]}, [3]),
    ({"map": [[{"true": 4, "b": 2}], {"var": True}]}, [4]),
    # equality: the operators' own tables are in test_javascript.py
    ({"==": ["5", 5]}, True),
    ({"==": [{"var": "mbox.nope"}, "None"]}, False),
    ({"==": [{"var": "mbox.nope"}, None]}, True),
    ({"==": [None, ""]}, False),
    ({"==": [None, 0]}, False),
    ({"==": [True, "1"]}, True),
    ({"==": []}, True),
    ({"==": [None]}, True),
    ({"==": [0]}, False),
    ({"!=": ["5", 5]}, False),
    ({"!=": ["5", 6]}, True),
    ({"!=": [1]}, True),
    ({"===": ["5", 5]}, False),
    ({"===": [5, 5.0]}, True),
    ({"===": []}, True),
    ({"===": [None]}, False),
    ({"!==": ["5", 5]}, True),
    ({"!==": [5, 5.0]}, False),
    ({"==": [2**53 + 1, 2**53]}, True),
    ({"==": [-(2**53) - 1, -(2**53)]}, True),
    ({"==": [2**53 + 2, 2**53]}, False),
    ({"==": [10**400, 10**500]}, True),
    # order
    ({"<": [1, 2]}, True),
    ({"<": [2, 2]}, False),
    ({"<": [2**53, 2**53 + 1]}, False),
    ({"<": [2**53, 2**53 + 2]}, True),
    ({"<": ["10", "9"]}, True),
    ({"<": ["10", 9]}, False),
    ({"<": [1]}, False),
    ({"<": []}, False),
    ({"<": [1, 2, 3]}, True),
    ({"<": [1, 2, 2]}, False),
    ({"<": [1, 1, 2]}, False),
    ({"<": [1, 2, None]}, False),
    ({"<": [1, 2, {"and": []}]}, True),
    ({"<": [2, 2, {"and": []}]}, False),
    ({"<": [1, {"and": []}, 2]}, False),
    ({"<=": [2, 2, {"or": []}]}, True),
    ({"<=": [3, 2, {"or": []}]}, False),
    ({"<": [1, 2, {"var": "mbox.n"}]}, True),
    ({"<": [1, 42, {"var": "mbox.n"}]}, False),
    ({"<=": [1, 42, {"var": "mbox.n"}]}, True),
    ({"<=": [1, 43, {"var": "mbox.n"}]}, False),
    ({"<=": [1, 1, 1]}, True),
    ({"<=": [1, 3, 2]}, False),
    ({"<=": ["0000", {"var": "current_time"}, "2359"]}, True),
    ({"==": [{"var": "current_time"}, {"+": [800, 1]}]}, True),
    ({"==": [{"var": "current_time"}, {"if": [True, 801]}]}, True),
    ({"==": [{"if": [True, 801]}, {"var": "current_time"}]}, True),
    ({"==": [{"if": [True, "801"]}, {"var": "current_time"}]}, False),
    ({"<=": ["0900", {"var": "current_time"}, "2359"]}, False),
    ({"<=": [1, 2, 3, 0]}, True),
    ({">": [2, 1]}, True),
    ({">": [2, 2]}, False),
    ({">": [3, 2, 5]}, True),
    ({">": [1]}, False),
    ({">=": [2, 2]}, True),
    ({">=": [1, 2]}, False),
    ({">=": []}, False),
    ({">": [{"var": "geo.latitude"}, "37.70"]}, True),
    ({"<": [{"var": "geo.latitude"}, "37.70"]}, False),
    ({">": [{"var": "geo.longitude"}, -200]}, False),
    # logic
    ({"and": [1, "a"]}, "a"),
    ({"and": [1, 0, "a"]}, 0),
    ({"and": [[], 1]}, []),
    ({"and": []}, UNDEFINED),
    ({"or": [0, "", "a", "b"]}, "a"),
    ({"or": [0, ""]}, ""),
    ({"or": [[], {}]}, {}),
    ({"or": []}, UNDEFINED),
    ({"!": [True]}, False),
    ({"!": 0}, True),
    ({"!": [[]]}, True),
    ({"!": ["0"]}, False),
    ({"!": []}, True),
    ({"!!": [[]]}, False),
    ({"!!": [{}]}, True),
    ({"!!": ["0"]}, True),
    ({"!!": []}, False),
    ({"!!": [NAN]}, False),
    ({"!!": [0.5]}, True),
    ({"!!": [0]}, False),
    ({"!": [var("mbox.odd.nan")]}, True),
    ({"!": [var("mbox.odd.empty")]}, False),
    ({"!": [var("mbox.odd.none")]}, True),
    ({"!": [var("mbox.nan")]}, True),
    ({"!": [var("mbox.odd")]}, False),
    ({"!": [var("mbox")]}, False),
    ({"!": [{"var": [{"cat": "mbox.nan"}]}]}, True),
    ({"!": [{"var": ["mbox.nope", {}]}]}, False),
    ({"!": [{"merge": [[]]}]}, True),
    ({"!": [{"-": ["x"]}]}, True),
    ({"!": [{"if": [True, {}]}]}, False),
    ({"!": [{"or": [NAN, {}]}]}, False),
    ({"!": [{"and": [{}, NAN]}]}, True),
    ({"!": [{"reduce": [[1], {}]}]}, False),
    (
        {"map": [[{}, NAN, [], 0, 1], {"if": [ITEM, "true", "false"]}]},
        ["true", "false", "false", "false", "true"],
    ),
    ({"map": [[{"a": NAN, "b": 1}], {"!": {"var": "a"}}]}, [True]),
    ({"map": [[{"a": {}, "b": 1}], {"!": {"var": {"cat": "a"}}}]}, [False]),
    ({"if": [NAN, 1, 2]}, 2),
    ({"or": [NAN, 1]}, 1),
    ({"if": [True, "yes", "no"]}, "yes"),
    ({"if": [[], "yes", "no"]}, "no"),
    ({"if": [0, 1, "", 2, "x", 3, 4]}, 3),
    ({"if": [0, 1, "", 2, 4]}, 4),
    ({"if": [0, 1]}, None),
    ({"if": [1, 2]}, 2),
    ({"if": [0, 1, 2, 3]}, 3),
    ({"if": [5]}, 5),
    ({"if": []}, None),
    ({"?:": [True, "yes", "no"]}, "yes"),
    # data
    (
        {"missing": ["mbox.t", "mbox.nope", "mbox.e", "mbox.null", "mbox.no"]},
        ["mbox.nope", "mbox.e", "mbox.null"],
    ),
    ({"missing": [["mbox.t", "mbox.nope"], "mbox.e"]}, ["mbox.nope"]),
    ({"missing": "mbox.nope"}, ["mbox.nope"]),
    (
        {"missing": ["mbox.t", ["mbox.nope"], ["mbox.nope", 7], ["mbox.nope", ""], []]},
        [["mbox.nope"], ["mbox.nope", ""]],
    ),
    ({"missing": []}, []),
    ({"missing": [None]}, []),
    ({"map": [[[1]], {"missing": [0, 1]}]}, [[1]]),
    ({"missing_some": [1, ["mbox.t", "mbox.nope"]]}, []),
    ({"missing_some": [2, ["mbox.t", "mbox.nope"]]}, ["mbox.nope"]),
    ({"missing_some": ["2", ["mbox.t", "mbox.n", "mbox.nope"]]}, []),
    ({"missing_some": [None, ["mbox.nope"]]}, []),
    ({"missing_some": [1, "mbox.nope"]}, []),
    ({"missing_some": [3, "abc"]}, ["abc"]),
    ({"missing_some": [3, "\U0001f600ab"]}, []),
    ({"missing_some": [0, 7]}, [7]),
    ({"missing_some": [0, {"a": 1, "b": 2}]}, [{"a": 1, "b": 2}]),
    ({"missing_some": [1, [["mbox.t", "mbox.nope"]]]}, ["mbox.nope"]),
    ({"map": [[{"": 5, "a": 1}, {}], {"var": [[]]}]}, [5, None]),
    ({"map": [[{"": 5, "a": 1}, {}], {"var": [[[]], 7]}]}, [5, 7]),
    ({"map": [[{"a": 1, "": 0}], {"var": [{"cat": []}]}]}, [{"a": 1, "": 0}]),
    ({"map": [[{"a": 1, "": 0}], {"var": [{"and": []}]}]}, [{"a": 1, "": 0}]),
    # loops
    ({"map": [{"var": "mbox.words"}, {"cat": [ITEM, "!"]}]}, ["gold!", "silver!"]),
    ({"map": [{"var": "mbox.rows"}, {"var": ["a", 0]}]}, [1, 2, 0]),
    ({"map": ["no list", ITEM]}, []),
    ({"map": [None, ITEM]}, []),
    ({"map": [[1, 2], 7]}, [7, 7]),
    ({"map": [[1, 2]]}, [UNDEFINED, UNDEFINED]),
    ({"map": [[[1, 2], [3]], {"map": [ITEM, {"*": [ITEM, 2]}]}]}, [[2, 4], [6]]),
    ({"filter": [[1, 2, 3, 4], {">": [ITEM, 2]}]}, [3, 4]),
    ({"filter": [[1, 2], []]}, []),
    ({"filter": [{"a": 1, "b": 2}, True]}, []),
    ({"all": [[1, 2], {">": [ITEM, 0]}]}, True),
    ({"all": [[1, 2], {">": [ITEM, 1]}]}, False),
    ({"all": [[], True]}, False),
    ({"all": ["no list", True]}, False),
    ({"none": [[1, 2], {">": [ITEM, 2]}]}, True),
    ({"none": [[1, 2], {">": [ITEM, 1]}]}, False),
    ({"none": [[], True]}, True),
    ({"some": [[1, 2], {">": [ITEM, 1]}]}, True),
    ({"some": [[1, 2], {">": [ITEM, 2]}]}, False),
    ({"some": [[], True]}, False),
    ({"some": [["gold"], {"==": [ITEM, {"var": "mbox.t"}]}]}, False),
    ({"reduce": [[1, 2, 3], {"+": [{"var": "current"}, {"var": "accumulator"}]}, 10]}, 16),
    ({"reduce": [[1, 2], {"cat": [{"var": "accumulator"}, {"var": "current"}]}]}, "12"),
    ({"reduce": [None, 1, 7]}, 7),
    ({"reduce": [[], 1]}, None),
    ({"reduce": [[1], {"var": "accumulator"}, {"var": "mbox.n"}]}, 42),
    ({"reduce": [[1]]}, UNDEFINED),
    # texts and lists
    ({"in": ["ol", "gold"]}, True),
    ({"in": ["x", "gold"]}, False),
    ({"in": ["", "gold"]}, True),
    ({"in": ["", ""]}, False),
    ({"in": [4, "42"]}, False),
    ({"in": [None, "null"]}, False),
    ({"in": [4, [1, 4.0]]}, True),
    ({"in": ["4", [1, 4]]}, False),
    ({"in": [None, [None]]}, True),
    ({"in": [[1], [[1]]]}, False),
    ({"in": [NAN, [NAN]]}, False),
    ({"in": ["a", {"a": 1, "b": 2}]}, False),
    ({"in": ["a", None]}, False),
    ({"in": ["a"]}, False),
    ({"in": [2**53, {"merge": [{"var": "mbox.big"}]}]}, True),
    ({"cat": ["a", 1, None, True, 1.5, [1, [2]], {}]}, "a1true1.51,2[object Object]"),
    ({"cat": []}, ""),
    ({"cat": [{"if": []}, {"and": []}]}, ""),
    ({"substr": ["jsonlogic", 4]}, "logic"),
    ({"substr": ["jsonlogic", -5]}, "logic"),
    ({"substr": ["jsonlogic", 1, 3]}, "son"),
    ({"substr": ["jsonlogic", 4, -2]}, "log"),
    ({"substr": ["jsonlogic", 4, -9]}, ""),
    ({"substr": ["jsonlogic", 4, None]}, ""),
    ({"substr": ["jsonlogic", 4, 0]}, ""),
    ({"substr": ["jsonlogic", 4, 0.5]}, ""),
    ({"substr": ["jsonlogic", 4, NAN]}, ""),
    ({"substr": ["jsonlogic", 0, 1.9]}, "j"),
    ({"substr": ["jsonlogic", 0, -1.5]}, "jsonlog"),
    ({"substr": ["jsonlogic", 0, "2"]}, "js"),
    ({"substr": ["jsonlogic", 0, "-2"]}, ""),
    ({"substr": ["jsonlogic"]}, "jsonlogic"),
    ({"substr": [12345, 1, 2]}, "23"),
    ({"substr": [None, 0, 2]}, "nu"),
    ({"substr": []}, "undefined"),
    ({"substr": [{"var": "mbox.emoji"}, 1, -1]}, "\U0001f600"),
    ({"merge": [1, [2, [3]], None, []]}, [1, 2, [3], None]),
    ({"merge": []}, []),
    ({"log": ["a", "b"]}, "a"),
    ({"log": []}, UNDEFINED),
    # arithmetic
    ({"+": [1, "2", "3px"]}, 6),
    ({"+": "7.5"}, 7.5),
    ({"+": []}, 0),
    ({"+": [1, None]}, NAN),
    ({"*": [2, "3", "4px"]}, 24),
    ({"*": ["3px"]}, "3px"),
    ({"-": [5, "2"]}, 3),
    ({"-": ["5"]}, -5),
    ({"-": [5, "2px"]}, NAN),
    ({"-": [5, None]}, 5),
    ({"-": []}, NAN),
    ({"/": [7, 2]}, 3.5),
    ({"/": ["7", "2"]}, 3.5),
    ({"/": [1, 0]}, INF),
    ({"/": [-1, 0]}, -INF),
    ({"/": [1, {"-": [0]}]}, -INF),
    ({"/": [-1, {"-": [0]}]}, INF),
    ({"/": [0, 0]}, NAN),
    ({"/": [NAN, 0]}, NAN),
    ({"/": [INF, 0]}, INF),
    ({"/": [1, NAN]}, NAN),
    ({"/": [1]}, NAN),
    ({"/": [1e308, 1e-308]}, INF),
    ({"%": [7, 3]}, 1),
    ({"%": [-7, 3]}, -1),
    ({"%": [7, -3]}, 1),
    ({"%": [5.5, 2]}, 1.5),
    ({"%": [7, 0]}, NAN),
    ({"%": [7, NAN]}, NAN),
    ({"%": [INF, 3]}, NAN),
    ({"%": [7, INF]}, 7),
    ({"min": [3, "1", 2]}, 1),
    ({"max": [3, "10", 2]}, 10),
    ({"min": [1, "a"]}, NAN),
    ({"max": ["a", 1]}, NAN),
    ({"min": []}, INF),
    ({"max": []}, -INF),
    ({"max": [None, -1]}, 0),
]


def name_of(value: Any) -> str:
    text = ascii(value)
    return text if len(text) < 60 else f"{text[:50]}…"


@each_case("tree, value", CASES, ids=name_of)
def test_operator_equals_json_logic_js(tree: Any, value: Any) -> None:
    assert plain(value_of(tree)) == plain(value)


@each_case("tree", [tree for tree, _ in CASES], ids=name_of)
def test_interpreter_and_the_compiled_truth_agree_on_every_case(tree: Any) -> None:
    of = facts(DATA, url="https://www.shop.example.co.uk/A/b?q=1#top", geo=PLACE)
    expected = logic_interpreter.apply(tree, of.as_dict(ALLOCATION))
    assert plain(value_of(tree)) == plain(expected)
    assert bool(compile_logic(tree).evaluate(of, ALLOCATION)) is logic_interpreter.truthy(expected)


@each_case(
    "operator", ["var", "!", "!!", "+", "-", "cat", "log", "merge", "missing", "max", "if", "and", "or"]
)
def test_single_operand_counts_as_a_list(operator: str) -> None:
    assert plain(value_of({operator: "mbox.n"})) == plain(value_of({operator: ["mbox.n"]}))


# ── facts, whose kind the compiler knows, in every comparison ───

TYPED_FACTS = [
    "page.url",
    "page.path",
    "page.path_lc",
    "page.query",
    "page.fragment",
    "page.domain",
    "page.subdomain_lc",
    "page.topLevelDomain",
    "referring.url",
    "user.browserType",
    "user.browserVersion",
    "user.platform",
    "user.locale",
    "geo.country",
    "geo.region",
    "geo.city",
    "geo.latitude",
    "geo.longitude",
    "current_timestamp",
    "current_time",
    "current_day",
    "allocation",
    *(f"mbox.{name}" for name in DATA),
    "mbox.t_lc",
    "mbox.nope",
]
UNTYPED_FACTS = [
    "page",
    "user",
    "geo",
    "mbox",
    "nope",
    "page.nope",
    "page.url.length",
    "user.platform.0",
    "geo.city.length",
]
COMPARISONS = ["==", "!=", "===", "!==", "<", "<=", ">", ">=", "in"]
LITERALS = [
    "gold",
    "/A/b",
    "0801",
    "4",
    "",
    "Größe",
    "\ufb00",
    4,
    48.44,
    0,
    -1,
    2**53 + 1,
    NAN,
    True,
    False,
    None,
    [],
    {},
]


@each_case("path", [*TYPED_FACTS, *UNTYPED_FACTS, "mbox.", "", None, 0, "__class__", "page.__class__"])
def test_path_finds_the_value_in_the_rule_context(path: Any) -> None:
    of = facts(DATA, url="https://www.shop.example.co.uk/A/b?q=1#top", geo=PLACE)
    expected = logic_interpreter.apply({"var": [path, "default"]}, of.as_dict(ALLOCATION))
    assert plain(value_of({"var": [path, "default"]}, of)) == plain(expected)
    assert plain(value_of({"var": path}, of)) == plain(
        logic_interpreter.apply({"var": path}, of.as_dict(ALLOCATION))
    )


@pytest.mark.parametrize("operator", ["==", "in", *slow("!=", "===", "!==", "<", "<=", ">", ">=")])
def test_fact_compares_with_every_literal_both_ways(operator: str) -> None:
    of = facts(DATA, url="https://www.shop.example.co.uk/A/b?q=1#top", geo=PLACE)
    data = of.as_dict(ALLOCATION)
    for path, literal in itertools.product([*TYPED_FACTS, "mbox"], LITERALS):
        for tree in ({operator: [var(path), literal]}, {operator: [literal, var(path)]}):
            expected = logic_interpreter.apply(tree, data)
            assert value_of(tree, of) is expected, tree
            assert bool(compile_logic(tree).evaluate(of, ALLOCATION)) is expected, tree


KINDS: list[Any] = [
    "gold",  # a literal of ASCII
    "Größe",  # one that is not
    "",
    4,
    True,
    None,
    {"var": "page.path"},
    {"var": "current_time"},
    {"var": "current_day"},
    {"var": "mbox.u"},
    {"var": "mbox.digits"},
    {"var": "mbox.f"},
    {"var": "mbox.nan"},
    {"var": "mbox.nope"},
    {"!": [True]},
    {"cat": ["go", "ld"]},
]


@pytest.mark.parametrize("operator", COMPARISONS)
def test_every_kind_of_operand_compares_with_every_other(operator: str) -> None:
    of = facts(DATA, url="http://example.org/gold", geo=PLACE)
    data = of.as_dict(ALLOCATION)
    for pair in itertools.product(KINDS, repeat=2):
        tree = {operator: list(pair)}
        assert value_of(tree, of) is logic_interpreter.apply(tree, data), tree


BETWEEN: list[Any] = [
    "",
    "gold",
    "ä",
    4,
    None,
    {"var": "page.path"},
    {"var": "current_day"},
    {"var": "mbox.digits"},
    {"var": "mbox.f"},
]


@pytest.mark.parametrize("operator", ["<", "<="])
def test_every_kind_of_operand_compares_between_two_others(operator: str) -> None:
    of = facts(DATA, url="http://example.org/gold", geo=PLACE)
    data = of.as_dict(ALLOCATION)
    for three in itertools.product(BETWEEN, repeat=3):
        tree = {operator: list(three)}
        assert value_of(tree, of) is logic_interpreter.apply(tree, data), tree


@given(st.text(st.characters(exclude_categories=())), st.text(st.characters(exclude_categories=())))
@example("a\U0001f600", "a\uffff")
@example("\U0001f600", "\ufb00")
@example("", "a")
def test_texts_are_ordered_equally_for_known_and_unknown_kinds(left: str, right: str) -> None:
    of = facts({"left": left, "right": right})
    for operator in COMPARISONS:
        trees = [
            {operator: [left, right]},
            {operator: [var("mbox.left"), right]},
            {operator: [left, var("mbox.right")]},
            {operator: [var("mbox.left"), var("mbox.right")]},
        ]
        answers = {value_of(tree, of) for tree in trees}
        assert answers == {logic_interpreter.apply({operator: [left, right]}, None)}, operator


def test_allocation_is_computed_only_if_the_condition_uses_it() -> None:
    named = [
        {"<": [var("allocation"), 50]},
        {"<": [var(["allocation", 1]), 50]},
        {"and": [{"or": [var("mbox.t"), var("allocation")]}]},
        var(""),
        var({"cat": ["allo", "cation"]}),
        {"missing": ["allocation"]},
        {"some": [var("mbox.list"), {"==": [var(""), 1]}, 1]},
    ]
    needs = [compile_logic(tree).needs_allocation for tree in named]
    assert needs == [True, True, True, True, True, True, False]
    assert not compile_logic({"==": [var("page.path"), var("mbox.t")]}).needs_allocation


SAME = [
    *[
        (operator, path, path)
        for operator in ("==", "===", "in")
        for path in ("", "mbox", "page", "user", "geo", "mbox.obj")
    ],
    ("===", "mbox.list", "mbox.list"),
    ("===", "mbox.obj.inner", {"cat": ["mbox.obj.", "inner"]}),
    ("===", "mbox.obj", ["mbox.obj", "a default"]),
    ("===", ["nope", {"var": ""}], ""),
]


@each_case("operator, one, other", SAME, ids=str)
def test_object_or_a_list_is_equal_to_itself(operator: str, one: Any, other: Any) -> None:
    of = facts({"obj.inner.a": "x", "list": [1]}, geo=PLACE)
    right = var(other) if operator != "in" else [1, var(other)]
    for tree, value in (({operator: [var(one), right]}, True), ({"!": {operator: [var(one), right]}}, False)):
        assert value_of(tree, of) is value
        assert bool(compile_logic(tree).evaluate(of, ALLOCATION)) is value


UNEQUAL_PARTS = [
    (var("mbox"), var("")),
    (var("mbox.list"), var("mbox.twin")),
    (var("mbox.list"), [1]),
    ([1], [1]),
    ({}, {}),
    ({"a": 1, "b": 2}, {"a": 1, "b": 2}),
    (var("geo"), var("page")),
]


@each_case("one, other", UNEQUAL_PARTS)
def test_equal_looking_objects_and_lists_are_not_equal(one: Any, other: Any) -> None:
    of = facts({"list": [1], "twin": [1]}, geo=PLACE)
    for operator in ("==", "==="):
        assert value_of({operator: [one, other]}, of) is False
        assert value_of({operator.replace("==", "!=", 1): [one, other]}, of) is True


DAY, PATH, NOW, HERE = var("current_day"), var("page.path"), var("current_timestamp"), var("allocation")
ASKED_FOR: list[tuple[Any, set[str]]] = [
    # of texts and numbers that are known to be such, nothing
    ({"==": ["/home", PATH]}, set()),
    ({"==": ["/größe", PATH]}, set()),
    ({"!=": ["", PATH]}, set()),
    ({"==": [5, DAY]}, set()),
    ({"<": [0, HERE, 50]}, set()),
    ({">": [50, HERE]}, set()),
    ({"<=": ["0900", var("current_time"), "1700"]}, set()),
    ({">=": [var("user.browserVersion"), 17]}, set()),
    ({"<": ["a", PATH]}, set()),
    ({"<": [PATH, "a", PATH]}, set()),
    ({"and": [True, {"==": ["/home", PATH]}, PATH, DAY, {"or": [PATH, {"<": [NOW, 5]}]}]}, set()),
    ({"or": [PATH, {"and": [DAY]}]}, set()),
    ({"if": [PATH, PATH, DAY]}, {"truthy"}),
    ({"!": [{"and": [DAY, PATH]}]}, {"bool"}),
    # of others, whether it is a text where one is compared
    ({"==": ["gold", var("mbox.t")]}, {"type", "loose_equal"}),
    ({"==": [var("mbox.t"), "gold"]}, {"type", "loose_equal"}),
    ({"==": ["", var("mbox.t")]}, {"loose_equal"}),
    ({"==": ["größe", var("mbox.t")]}, {"loose_equal"}),
    ({"==": [5, var("mbox.t")]}, {"loose_equal"}),
    ({"==": ["5", DAY]}, {"loose_equal"}),
    ({"==": [True, DAY]}, {"loose_equal"}),
    ({"<": ["größe", PATH]}, {"less"}),
    ({"<": [NAN, DAY]}, {"less"}),
    ({"<": [PATH, "a", var("mbox.t")]}, {"less", "less_or_undefined"}),
    ({">=": [5, var("mbox.n")]}, {"less_equal"}),
    ({"<": [True, DAY]}, {"less"}),
    # of the data, no more than there is to find
    (var("mbox.t"), {"truthy"}),
    (var("geo.city"), {"truthy"}),
    (var("mbox.a.b"), {"walk", "truthy"}),
    (var("mbox"), {"walk", "whole_context", "truthy"}),
    (var("user"), {"walk", "whole_context", "truthy"}),
    (var({"cat": "mbox.t"}), {"variable", "whole_context", "concatenate", "truthy"}),
    ({"some": [var("mbox.list"), ITEM]}, {"some_list", "walk", "truthy"}),
]


@each_case("tree, needed", ASKED_FOR, ids=[name_of(tree) for tree, _ in ASKED_FOR])
def test_condition_reads_only_the_facts_it_needs(tree: Any, needed: set[str]) -> None:
    assert functions_of(tree) == needed


def functions_of(tree: Any) -> set[str]:
    """Return the names of the functions that the code of a condition calls."""
    named = {name for code in code_objects(compile_logic(tree).code) for name in code.co_names}
    return named & {
        *functions,
        "truthy",
        "bool",
        "type",
        "loose_equal",
        "strict_equal",
        "concatenate",
    }


URL_PARTS = ("url", "path", "query", "fragment", "subdomain", "domain", "topLevelDomain")
KNOWN_TEXTS = [
    *("current_time", "user.browserType", "user.platform", "user.locale"),
    *(f"{page}.{part}{case}" for page in ("page", "referring") for part in URL_PARTS for case in ("", "_lc")),
]


@each_case("path", KNOWN_TEXTS)
def test_facts_that_are_always_texts_are_compared_as_such(path: str) -> None:
    of = facts(url="https://www.shop.example.co.uk/A/b?q=1#top")
    text = logic_interpreter.apply(var(path), of.as_dict(None))
    assert type(text) is str
    for tree in ({"==": [text, var(path)]}, {"<=": ["", var(path)]}, {"and": [var(path), var(path)]}):
        assert functions_of(tree) <= {"less_equal"}
        assert bool(compile_logic(tree).evaluate(of, None)) is ("and" not in tree or text != "")


@each_case("path", ["current_timestamp", "current_day", "user.browserVersion", "allocation"])
def test_facts_that_are_always_numbers_are_compared_as_such(path: str) -> None:
    of = facts()
    number = logic_interpreter.apply(var(path), of.as_dict(48.44))
    assert type(number) in (int, float)
    for tree in ({"==": [number, var(path)]}, {"<": [0, var(path), 1e300]}, {"and": [var(path), True]}):
        assert functions_of(tree) == set()
        assert compile_logic(tree).evaluate(of, 48.44) is True


# ── random trees ───

texts = st.sampled_from(
    ["", "gold", "Gold", "42", " 4.2 ", "1e3", "ä", "\U0001f600", "\ud801", "true", "null"]
) | st.text(st.characters(exclude_categories=()), max_size=4)
numbers = st.sampled_from(
    [0, 1, -1, 42, 0.5, 1e308, -1e308, 2**53 + 1, 10**400, NAN, INF, -INF]
) | st.integers(-9, 9)
scalars = st.none() | st.booleans() | numbers | texts
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)
parameters = st.fixed_dictionaries(dict.fromkeys("tuvw", json_values))
paths = st.sampled_from(
    [
        *(
            "mbox.t",
            "mbox.u",
            "mbox.v",
            "mbox.w",
            "mbox.t_lc",
            "mbox.t.a",
            "mbox.u.0",
            "mbox.v.length",
            "mbox.nope",
        ),
        *(
            "page.url",
            "page.domain_lc",
            "user.browserType",
            "user.browserVersion",
            "geo.city",
            "geo.latitude",
            "geo.region",
        ),
        *("mbox", "page", "user", "geo"),
        *("current_day", "current_time", "current_timestamp", "allocation"),
        *("", "current", "accumulator", "accumulator.current", "a", "b", "0", "1", "length"),
    ]
)
variables = st.builds(lambda path: {"var": path}, paths) | st.builds(
    lambda path, default: {"var": [path, default]}, paths, scalars
)


def operations(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def of(*names: str, least: int = 0, most: int = 3) -> st.SearchStrategy[Any]:
        operands = st.lists(inner, min_size=least, max_size=most)
        return st.builds(lambda name, values: {name: values}, st.sampled_from(names), operands)

    def loops(*names: str) -> st.SearchStrategy[Any]:
        items = st.lists(inner, max_size=3) | st.sampled_from([var("mbox.t"), var("mbox.u"), var("")])
        return st.builds(
            lambda name, values, logic: {name: [values, logic]}, st.sampled_from(names), items, inner
        )

    def folds(values: Any, logic: Any, start: Any) -> Any:
        return {"reduce": [values, logic, start]}

    some_paths = st.lists(paths, max_size=3)
    return st.one_of(
        st.lists(inner, max_size=3),
        of("and", "or", "if", "?:", most=5),
        of("==", "!=", "===", "!==", "<", "<=", ">", ">=", "in", least=2),
        of("!", "!!", "cat", "merge", "log", "min", "max", "+", "-", "%"),
        of("*", least=1),
        of("substr", least=1),
        loops("map", "filter", "all", "none", "some"),
        st.builds(folds, st.lists(inner, max_size=3), inner, inner),
        st.builds(lambda top, bottom: {"/": [top, bottom]}, inner, st.sampled_from([3, -0.5, "4", 1e308])),
        st.builds(lambda names: {"missing": names}, some_paths),
        st.builds(lambda needed, names: {"missing_some": [needed, names]}, st.integers(0, 3), some_paths),
    )


trees = st.recursive(scalars | variables | variables, operations, max_leaves=10)


@settings(max_examples=examples(400))
@given(trees, parameters, st.floats(0, 99.99))
@example({"==": [{"var": "mbox.t"}, {"var": "mbox.t"}]}, {"t": [1]}, 0.0)
def test_compiled_condition_equals_the_interpreter(
    tree: Any, of_mbox: dict[str, Any], allocation: float
) -> None:
    of = facts(of_mbox, url="https://www.shop.example.co.uk/A?q=1", geo=PLACE)
    data = of.as_dict(allocation)
    data["mbox"] = of.mbox  # the same lists and objects, for ===
    try:
        value = value_of(tree, of, allocation)
    except EvaluationError:
        assume(False)
    expected = logic_interpreter.apply(tree, data)
    assert plain(value) == plain(expected)
    truth = compile_logic(tree).evaluate(
        facts(of_mbox, url="https://www.shop.example.co.uk/A?q=1", geo=PLACE), allocation
    )
    assert bool(truth) is logic_interpreter.truthy(expected)


scalar_trees = st.recursive(
    st.booleans()
    | st.integers(2, 99)  # it takes 0 and 1 for false and true
    | st.text("abc", min_size=1, max_size=3)
    | st.sampled_from([var("mbox.t"), var("mbox.n"), var("mbox.list.1")]),
    lambda inner: st.one_of(
        st.builds(
            lambda name, a, b: {name: [a, b]}, st.sampled_from(["===", "!==", "and", "or"]), inner, inner
        ),
        st.builds(lambda name, a: {name: [a]}, st.sampled_from(["!", "!!"]), inner),
        st.builds(lambda a, b, c: {"if": [a, b, c]}, inner, inner, inner),
    ),
    max_leaves=6,
)


@settings(max_examples=examples(60))
@given(
    scalar_trees
    | st.builds(lambda a: {"map": [[1, 2], a]}, scalar_trees)
    | st.builds(lambda a, b: {"merge": [a, [b]]}, scalar_trees, scalar_trees)
)
def test_results_equal_another_library_for_plain_json_logic(tree: Any) -> None:
    of = facts(DATA, geo=PLACE)
    assert plain(value_of(tree, of)) == plain(json_logic.jsonLogic(tree, of.as_dict(ALLOCATION)))


# ── bounds ───


@each_case(
    "tree",
    [
        {"unknown": 1},
        {"method": [1, "real"]},
        {"": 1},
        {"and": [True, {"nope": []}]},
        {"map": [[], {"nope": 1}]},
    ],
)
def test_unknown_operator_is_not_compiled(tree: Any) -> None:
    with pytest.raises(LogicError, match="unknown operator"):
        compile_logic(tree)


@pytest.mark.parametrize("position", [1, 2, 3])
def test_operator_after_a_constant_path_is_not_evaluated(position: int) -> None:
    with pytest.raises(LogicError, match="unknown operator 'guess'"):
        compile_logic({"var": ["mbox.t", *[1] * (position - 1), {"guess": []}]})


@each_case("name", ["constant", "literal", "list", "path", "add", "truthy", "walk", "eval", "__import__"])
def test_internal_shape_names_are_no_operators(name: str) -> None:
    with pytest.raises(LogicError, match="unknown operator"):
        compile_logic({name: ["mbox.t"]})


def nested(depth: int, operator: str = "!", leaf: Any = True) -> Any:
    tree = leaf
    for _ in range(depth):
        tree = {operator: [tree]}
    return tree


@each_case("operator", ["!", "and", "or", "if", "?:", "cat", "merge", "log"])
def test_condition_is_limited_in_depth(operator: str) -> None:
    deepest = nested(MAX_DEPTH, operator, "a")
    assert plain(value_of(deepest)) == plain(logic_interpreter.apply(deepest, None))
    with pytest.raises(LogicError, match=f"deeper than {MAX_DEPTH}"):
        compile_logic(nested(MAX_DEPTH + 1, operator))


def test_default_of_a_path_counts_as_depth_too() -> None:
    assert value_of({"var": ["mbox.nope", nested(MAX_DEPTH - 1)]}) is not None
    with pytest.raises(LogicError, match="deeper than"):
        compile_logic({"var": ["mbox.nope", nested(MAX_DEPTH)]})


def test_lists_are_limited_to_a_hundred_levels() -> None:
    tree: Any = []
    for _ in range(100):
        tree = [tree]
    assert value_of(tree) == tree
    with pytest.raises(LogicError, match="deeper than 100"):
        compile_logic([tree])


WITH_TWO_OPERANDS = {
    **{
        operator: lambda tree, operator=operator: {operator: [tree, True]}
        for operator in ("and", "==", "in", "<=")
    },
    "or": lambda tree: {"or": [False, tree]},
    "if": lambda tree: {"if": [False, 1, tree]},
    "then": lambda tree: {"if": [True, tree]},
    "condition": lambda tree: {"if": [tree, True, False]},
    "map": lambda tree: {"map": [[], tree]},
    "reduce": lambda tree: {"reduce": [[], tree, 0]},
    "over": lambda tree: {"filter": [tree, {"var": ""}]},
}


@pytest.mark.parametrize("wrap", WITH_TWO_OPERANDS.values(), ids=WITH_TWO_OPERANDS.keys())
def test_depth_limit_holds_for_all_operators(wrap: Any) -> None:
    tree: Any = True
    for _ in range(MAX_DEPTH):
        tree = wrap(tree)
    assert plain(value_of(tree)) == plain(logic_interpreter.apply(tree, facts(DATA).as_dict(None)))
    with pytest.raises(LogicError, match="deeper than"):
        compile_logic(wrap(tree))


def test_nearly_exhausted_stack_is_a_logic_error() -> None:
    def called_from(frames: int) -> Any:
        return compile_logic(nested(60, "cat")) if frames == 0 else called_from(frames - 1)

    room = sys.getrecursionlimit() - len(inspect.stack(0))
    with pytest.raises(LogicError, match="nested too deeply"):
        called_from(room - 50)
    assert called_from(0)


def test_depth_that_would_use_up_the_stack_is_a_logic_error() -> None:
    with pytest.raises(LogicError, match="deep"):
        compile_logic(nested(50_000))


def test_condition_is_limited_to_20_000_nodes() -> None:
    most = {"in": [var("mbox.t"), ["gold", *["x"] * 19_996]]}
    assert value_of(most) is True
    with pytest.raises(LogicError, match="more than 20000 nodes"):
        compile_logic({"in": [var("mbox.t"), ["gold", *["x"] * 19_997]]})


WIDE = 1200  # as nested expressions they exceed the recursion limit of Python's compiler
UNEQUAL = [{"==": [var("mbox.n"), 0]}, *[var("mbox.e")] * WIDE]
EQUAL = [{"!=": [var("mbox.n"), 0]}, *[var("mbox.n")] * WIDE]
CHOICES = [part for operand in UNEQUAL for part in (operand, var("mbox.t"))]
WIDE_TREES: dict[str, Any] = {
    "or, none holds": {"or": UNEQUAL},
    "or, the last holds": {"or": [*UNEQUAL, var("mbox.t")]},
    "or, the first holds": {"or": [var("mbox.t"), *UNEQUAL]},
    "and, all hold": {"and": [*EQUAL, var("mbox.t")]},
    "and, the last fails": {"and": [*EQUAL, var("mbox.e")]},
    "and, the first fails": {"and": [var("mbox.e"), *EQUAL]},
    "if, none holds": {"if": CHOICES},
    "if, none holds, with an else": {"if": [*CHOICES, var("mbox.t")]},
    "if, the last holds": {"if": [*CHOICES, var("mbox.yes"), var("mbox.e"), 1]},
    "if, the first holds": {"?:": [var("mbox.yes"), var("mbox.e"), *CHOICES]},
    "cat": {"cat": UNEQUAL},
    "merge": {"merge": UNEQUAL},
    "+": {"+": [1, *[var("mbox.n")] * WIDE]},
    "min": {"min": [var("mbox.n"), *EQUAL]},
    "max": {"max": [var("mbox.n"), *EQUAL]},
    "in": {"in": [True, UNEQUAL]},
    "missing": {"missing": ["mbox.t", *[f"mbox.{i}" for i in range(WIDE)]]},
    "list": [*UNEQUAL, var("mbox.t")],
    "some": {"some": [list(range(WIDE)), {"==": [{"var": ""}, WIDE - 1]}]},
    "the logic of some": {"some": [[1, 2], {"or": [*UNEQUAL, {"==": [{"var": ""}, 2]}]}]},
}


WIDE_TREES_OF_EACH_RUN = {"or, the last holds"}


@pytest.mark.parametrize(
    "name", [name if name in WIDE_TREES_OF_EACH_RUN else slow(name)[0] for name in WIDE_TREES]
)
def test_thousands_of_operands_compile_without_nesting(name: str) -> None:
    of, tree = facts(DATA), WIDE_TREES[name]
    expected = logic_interpreter.apply(tree, of.as_dict(None))
    assert plain(value_of(tree, of, None)) == plain(expected)
    assert bool(compile_logic(tree).evaluate(facts(DATA), None)) is logic_interpreter.truthy(expected)


@pytest.mark.parametrize("name", ["or, none holds", *slow("and, all hold", "if, none holds")])
def test_thousands_of_operands_compile_within_an_operand(name: str) -> None:
    of, tree = facts(DATA), {"cat": ["<", WIDE_TREES[name], ">"]}
    assert value_of(tree, of, None) == logic_interpreter.apply(tree, of.as_dict(None))


FAILS = {"*": []}  # an error in JavaScript too
LAZY: list[tuple[Any, Any]] = [
    ({"or": [0, "a", FAILS]}, "a"),
    ({"or": [{"var": "mbox.t"}, FAILS]}, "gold"),
    ({"or": [[], {"and": [1, "", FAILS]}, "b", FAILS]}, "b"),
    ({"and": [1, "", FAILS]}, ""),
    ({"and": [1, [], FAILS, FAILS]}, []),
    ({"and": [{"or": ["a", FAILS]}, {"var": "mbox.e"}, FAILS]}, ""),
    ({"if": [1, "a", FAILS]}, "a"),
    ({"if": [0, FAILS, "b"]}, "b"),
    ({"if": [0, FAILS, 1, "b", FAILS, FAILS]}, "b"),
    ({"if": [1, "", FAILS, "b", FAILS]}, ""),
    ({"if": [1, [], FAILS]}, []),
    ({"if": [0, FAILS]}, None),
    ({"if": [0, FAILS, "", FAILS]}, None),
    ({"?:": [{"if": [1, 0, FAILS]}, FAILS, {"if": [0, FAILS, "c"]}]}, "c"),
]


@each_case("tree, value", LAZY)
def test_operands_after_the_deciding_one_are_not_evaluated(tree: Any, value: Any) -> None:
    assert plain(logic_interpreter.apply(tree, facts(DATA).as_dict(None))) == plain(value)
    assert plain(value_of(tree)) == plain(value)
    assert plain(value_of({"cat": ["<", tree, ">"]})) == plain(
        logic_interpreter.apply({"cat": ["<", [value], ">"]}, {})
    )
    assert bool(compile_logic(tree).evaluate(facts(DATA), None)) is logic_interpreter.truthy(value)


def doubling(times: int, grow: Any, start: Any) -> Any:
    return {"reduce": [list(range(times)), grow, start]}


def again_and_again(logic: Any, start: Any) -> Any:
    return {"reduce": [list(range(900)), logic, start]}


ACCUMULATOR = {"var": "accumulator"}
LONG = doubling(17, {"cat": [ACCUMULATOR, ACCUMULATOR]}, "x")
COSTLY = {
    "a text that doubles": doubling(64, {"cat": [ACCUMULATOR, ACCUMULATOR]}, "x"),
    "a list that doubles": doubling(64, {"merge": [ACCUMULATOR, ACCUMULATOR]}, [1]),
    "a list of itself": doubling(64, {"merge": [[ACCUMULATOR, ACCUMULATOR]]}, [1]),
    "loops in loops": {"map": [list(range(99)), {"map": [list(range(99)), {"map": [list(range(99)), 1]}]}]},
    "filters in filters": {
        "filter": [list(range(99)), {"filter": [list(range(99)), {"filter": [list(range(99)), 1]}]}]
    },
    "searches in loops": {"map": [list(range(999)), {"in": ["x", list(range(999))]}]},
    "cuts of a long text": {"map": [list(range(999)), {"substr": [{"var": ""}, 1]}]},
    "searches in a long text": again_and_again({"if": [{"in": ["y", ACCUMULATOR]}, 1, ACCUMULATOR]}, LONG),
    "copies of a long text": again_and_again({"cat": [ACCUMULATOR]}, LONG),
    "copies of a long list": again_and_again({"merge": [ACCUMULATOR]}, [0] * 3000),
    "an empty product": {"*": []},
    "paths that are nothing": {"missing_some": [1, None]},
    "no paths": {"missing_some": [1]},
}


@pytest.mark.parametrize(
    "name", [name for name in COSTLY if name not in ("a list of itself", "cuts of a long text")]
)
def test_condition_with_too_much_work_is_stopped(name: str) -> None:
    with pytest.raises(EvaluationError):
        value_of(COSTLY[name])


class Counted(Facts):
    """Facts that record the counted steps."""

    paid = 0

    def spend(self, steps: int) -> None:
        self.paid += steps
        super().spend(steps)


LONG_TEXT = "x" * 9600
COSTS: list[tuple[Any, int]] = [
    ({"==": [var("mbox.t"), {"substr": ["short", 1, 2]}]}, 0),
    ({"map": [[1, 2, 3], 1]}, 4),
    ({"map": [[], 1]}, 1),
    ({"map": ["no list", 1]}, 0),
    ({"filter": [[1, 2, 3], {"==": [ITEM, 1]}]}, 3 * 3 + 1),
    ({"reduce": [[1, 2, 3], {"+": [var("current"), var("accumulator"), 1]}, 0]}, 3 * 4 + 1),
    ({"some": [[1, 2], {"all": [[5, 6, 7], {"!": ITEM}]}]}, (2 * 7 + 1) + 2 * (3 * 2 + 1)),
    ({"none": [[0, 0], {"var": ["", {"cat": ["a", "b"]}]}]}, 2 * 4 + 1),
    ({"in": [1, [2] * 70]}, 70),
    ({"in": ["y", "x" * 8192]}, 0),
    ({"in": ["y", LONG_TEXT]}, 150),
    ({"cat": [LONG_TEXT, "y" * 6400]}, 250),
    ({"substr": [LONG_TEXT, 1, 2]}, 150),
    ({"merge": [[1, 2], 3, [[4]]]}, 4),
]


@each_case("tree, steps", COSTS)
def test_loops_and_long_values_count_steps(tree: Any, steps: int) -> None:
    of = Counted(facts(DATA).request, MboxRequest(name="hero", parameters=DATA), "hero")
    value_of(tree, of)
    assert of.paid == steps


def test_text_is_limited_to_a_million_characters() -> None:
    of = facts({"half": "x" * 500_000})
    whole = {"cat": [var("mbox.half"), var("mbox.half")]}
    assert len(value_of(whole, of)) == 1_000_000
    with pytest.raises(EvaluationError, match="longer than 1000000"):
        value_of({"cat": [var("mbox.half"), var("mbox.half"), "x"]}, facts({"half": "x" * 500_000}))


def test_text_of_a_list_is_limited_to_ten_thousand_items() -> None:
    of = facts({"half": [1] * 5_000, "list": [[1] * 4_999]})
    halves = {"merge": [var("mbox.half"), var("mbox.half")]}
    assert len(value_of({"cat": [halves]}, of)) == 19_999
    assert len(value_of({"cat": [{"merge": [var("mbox.half"), var("mbox.list")]}]}, of)) == 19_997
    for longer in ({"merge": [halves, 1]}, {"merge": [var("mbox.half"), var("mbox.list"), 1]}):
        with pytest.raises(EvaluationError, match="more than 10000"):
            value_of({"cat": [longer]}, of)


def test_ordinary_condition_counts_few_steps() -> None:
    text, many = "x" * 1000, list(range(1000))
    for tree in (
        {"map": [many, {"cat": [ITEM, text]}]},
        {"map": [many, {"in": ["y", text]}]},
        {"map": [many, {"substr": [text, 1]}]},
        {"merge": [many] * 10},
        {"in": [-1, many]},
        LONG,
    ):
        value_of(tree)


def test_text_of_a_list_with_exponential_items_is_stopped() -> None:
    tree = {"cat": [doubling(64, [ACCUMULATOR, ACCUMULATOR], [1])]}
    with pytest.raises(Exception, match=r".") as caught:
        value_of(tree)
    assert isinstance(caught.value, EvaluationError | RecursionError)


def test_substrings_of_a_long_text_in_a_loop_are_stopped() -> None:
    of = facts({"long": "x" * 50_000, "many": list(range(5000))})
    long = {"reduce": [var("mbox.many"), {"cat": [{"substr": [ACCUMULATOR, 1]}, "y"]}, var("mbox.long")]}
    with pytest.raises(EvaluationError):
        value_of(long, of)


def test_work_of_all_conditions_of_a_location_is_counted_together() -> None:
    tree = {"map": [list(range(1000)), {"in": [1, list(range(30))]}]}
    of = facts()
    value_of(tree, of)

    def again() -> None:
        for _ in range(100):
            value_of(tree, of)

    with pytest.raises(EvaluationError):
        again()
    value_of(tree, facts())


# ── nothing of the artifact runs ───

HOSTILE = [
    "__class__",
    "__class__.__mro__",
    "__import__('os').system('x')",
    "mbox.__class__.__subclasses__",
    "mbox.t.__class__",
    "mbox.t.upper",
    "page.__dict__",
    "user.__init__.__globals__",
    "geo.items",
    "facts",
    "facts.request",
    "UNDEFINED",
    "walk",
    "literal_0",
    "allocation.real",
    "current_day.bit_length",
    "constructor",
    "__proto__",
    "mbox.list.append",
    "mbox.\ud800",
    "mbox.\0",
    "mbox.'\"\\{}",
    "\n",
]


@each_case("path", HOSTILE, ids=ascii)
def test_path_reaches_data_only(path: str) -> None:
    of = facts(DATA, url="http://example.org/", geo=PLACE)
    assert value_of({"var": path}, of) is None
    assert value_of({"var": [path, "default"]}, of) == "default"
    assert value_of({"var": {"cat": [path]}}, of) is None
    assert value_of({"map": [[DATA, "text", 5, [1]], {"var": path}]}, of) == [None] * 4
    assert value_of({"missing": [path]}, of) == [path]


@each_case("key", ["mbox", "__class__", "page.url", "get", "\ud800", "", "a.b.c"])
def test_parameter_can_have_any_name(key: str) -> None:
    of = facts({key: "poison"})
    found = value_of({"var": "mbox"}, of)
    assert found == of.as_dict(None)["mbox"]
    assert value_of({"var": "page.url"}, of) == ""


def code_objects(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from code_objects(constant)


def test_code_holds_no_text_of_the_artifact_but_paths_as_constants() -> None:
    tree = {
        "and": [
            {"==": [var("mbox.secretPath"), "secretText"]},
            {
                "in": [
                    var(["mbox.secretOther", "secretDefault"]),
                    ["secretItem", {"secretKey": 1, "secretKey2": 2}],
                ]
            },
            {"some": [["secretItem"], {"==": [var("secretInner"), "secretText"]}]},
            {"cat": ["secretText", 987654321]},
        ]
    }
    function: Any = compile_logic(tree).evaluate
    names: set[str] = set()
    constants: set[Any] = set()
    for code in code_objects(function.__code__):
        names |= {
            *code.co_names,
            *code.co_varnames,
            *code.co_freevars,
            *code.co_cellvars,
            code.co_name,
            code.co_filename,
        }
        constants |= {
            constant for constant in code.co_consts if not isinstance(constant, types.CodeType | tuple)
        }
    assert not [name for name in names if "secret" in name.lower()]
    assert {c for c in constants if isinstance(c, str) and "secret" in c} <= {
        "secretPath",
        "secretOther",
        "secretInner",
    }
    assert 987654321 not in constants


def test_code_sees_no_builtins_and_cannot_import() -> None:
    function: Any = compile_logic({"map": [[1], {"cat": ["a", var("")]}]}).evaluate
    assert function.__globals__["__builtins__"] == {}
    known = {*function.__globals__} - {"bool", "str", "type"}
    assert not known & set(dir(builtins)) - {"__builtins__"}
    for code in code_objects(function.__code__):
        assert not {"__import__", "eval", "exec", "compile", "open", "getattr"} & set(code.co_names)


def test_two_conditions_of_one_shape_share_their_code_but_not_their_literals() -> None:
    first: Any = compile_logic({"==": [var("mbox.t"), "one"]}).evaluate
    second: Any = compile_logic({"==": [var("mbox.t"), "two"]}).evaluate
    of = facts({"t": "one"})
    assert first.__code__ is second.__code__
    assert (bool(first(of, None)), bool(second(of, None))) == (True, False)


@each_case(
    "one, other",
    [
        (1, True),
        (0, False),
        (1, 1.0),
        ("1", 1),
        ("", None),
        ("ascii", "größe"),
        (0.0, -0.0),
        ([], {}),
        (NAN, 1.0),
    ],
)
def test_literals_equal_in_python_are_compiled_separately(one: Any, other: Any) -> None:
    trees = [
        {"===": [literal, operand]} for literal in (one, other) for operand in (one, other, var("mbox.x"))
    ]
    of = facts({"x": one})
    for tree in [*trees, *reversed(trees)]:
        assert value_of(tree, of) is logic_interpreter.apply(tree, of.as_dict(None)), tree


def test_compilation_does_not_change_the_tree() -> None:
    tree = {"and": [{"in": ["a", ["a", {"x": 1, "y": [2]}]]}, {"==": [var("mbox.t"), 10**30]}]}
    before = repr(tree)
    value_of(tree)
    assert repr(tree) == before


@each_case(
    "tree",
    [{"<": ["a", var("page.query"), var("page.fragment")]}, {"<": [var("page.query"), var("page.fragment")]}],
)
def test_known_texts_are_ordered_by_their_code_units(tree: Any) -> None:
    astral_first = facts(url="https://shop.example/?\U0001f600#\uff5e")
    assert astral_first.page.query > astral_first.page.fragment
    assert value_of(tree, astral_first)
