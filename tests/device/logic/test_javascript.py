"""Coercions of ECMAScript; the tables were checked with a JavaScript engine."""

from __future__ import annotations

import math
import struct
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from support import logic_interpreter
from support.cases import each_case
from targetry.device.logic import javascript
from targetry.device.logic.javascript import UNDEFINED

NAN, INF = math.nan, math.inf
LIST: list[Any] = [1]
OBJECT = {"a": 1}

numbers = (
    st.floats()
    | st.integers()
    | st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, 10**21, 10**400, -(10**400)])
)
texts = st.text(st.characters(exclude_categories=())) | st.text(
    "0123456789.eE+-xob \n\ufeffInfity", max_size=12
)
scalars = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=5,
)


def shown(value: Any) -> str:
    """Return a short id of a case."""
    text = ascii(value)
    return text if len(text) < 40 else f"{text[:20]}…"


def same_number(left: float, right: float) -> bool:
    return struct.pack("d", left) == struct.pack("d", right) or (left != left and right != right)


TO_NUMBER: list[tuple[Any, float]] = [
    (None, 0.0),
    (True, 1.0),
    (False, 0.0),
    (UNDEFINED, NAN),
    (7, 7.0),
    (-0.0, -0.0),
    (10**400, INF),
    (-(10**400), -INF),
    (2**53 + 1, 2.0**53),
    ("", 0.0),
    (" \t\n\u00a0\ufeff\u2028", 0.0),
    ("\u180e1", NAN),
    ("\x1c1", NAN),
    ("\x851", NAN),
    ("12", 12.0),
    (" 12\n", 12.0),
    ("1e3", 1000.0),
    ("1E+3", 1000.0),
    (".5", 0.5),
    ("5.", 5.0),
    ("5.e1", 50.0),
    ("+5", 5.0),
    ("-5", -5.0),
    ("-0", -0.0),
    ("--5", NAN),
    ("+-5", NAN),
    (".", NAN),
    ("e1", NAN),
    ("1e", NAN),
    ("1 2", NAN),
    ("1_000", NAN),
    ("1,000", NAN),
    ("١٢", NAN),
    ("1e400", INF),
    ("-1e400", -INF),
    ("Infinity", INF),
    ("+Infinity", INF),
    ("-Infinity", -INF),
    ("infinity", NAN),
    ("inf", NAN),
    ("nan", NAN),
    ("NaN", NAN),
    ("true", NAN),
    ("X1", NAN),
    ("1X", NAN),
    ("0x1f", 31.0),
    ("0XFF", 255.0),
    ("0O17", 15.0),
    ("0B11", 3.0),
    ("0b101", 5.0),
    ("0B2", NAN),
    ("0o17", 15.0),
    ("0O8", NAN),
    ("0x", NAN),
    ("-0x1f", NAN),
    ("0x1_f", NAN),
    ("0x 1", NAN),
    ("0x" + "f" * 2000, INF),
    ("0x" + "f" * 2000 + "g", NAN),
    ("0x" + "0" * 2000 + "1f", 31.0),
    ([], 0.0),
    ([5], 5.0),
    (["5"], 5.0),
    ([[" 7 "]], 7.0),
    ([None], 0.0),
    ([1, 2], NAN),
    ({}, NAN),
]


@each_case("value, number", TO_NUMBER, ids=shown)
def test_to_number_equals_number_of_javascript(value: Any, number: float) -> None:
    assert same_number(javascript.to_number(value), number)


@given(values)
def test_to_number_agrees_with_the_interpreter(value: Any) -> None:
    assert same_number(javascript.to_number(value), logic_interpreter.number(value))


PARSE_FLOAT: list[tuple[Any, float]] = [
    ("12px", 12.0),
    ("  12", 12.0),
    ("-.5e1x", -5.0),
    ("1e", 1.0),
    ("1e+", 1.0),
    ("1.2.3", 1.2),
    ("0x10", 0.0),
    ("x1", NAN),
    ("", NAN),
    ("Infinityx", INF),
    ("-Infinity", -INF),
    ("+Infinity!", INF),
    ("Infinit", NAN),
    ("1_0", 1.0),
    (None, NAN),
    (UNDEFINED, NAN),
    (True, NAN),
    (3, 3.0),
    (2.5, 2.5),
    (-0.0, 0.0),
    (NAN, NAN),
    (10**400, INF),
    ([4, 5], 4.0),
    ([], NAN),
    ({}, NAN),
]


@each_case("value, number", PARSE_FLOAT, ids=shown)
def test_parse_float_reads_the_number_that_the_text_starts_with(value: Any, number: float) -> None:
    assert same_number(javascript.parse_float(value), number)


@given(values)
def test_parse_float_agrees_with_the_interpreter(value: Any) -> None:
    assert same_number(javascript.parse_float(value), logic_interpreter.leading_number(value))


TO_TEXT: list[tuple[Any, str]] = [
    ("a", "a"),
    (None, "null"),
    (UNDEFINED, "undefined"),
    (True, "true"),
    (False, "false"),
    (0, "0"),
    (-0.0, "0"),
    (1.0, "1"),
    (-1.5, "-1.5"),
    (0.1, "0.1"),
    (123.456, "123.456"),
    (0.000001, "0.000001"),
    (0.0000001, "1e-7"),
    (1.5e-7, "1.5e-7"),
    (-1.5e-10, "-1.5e-10"),
    (5e-324, "5e-324"),
    (1.7976931348623157e308, "1.7976931348623157e+308"),
    (1e20, "100000000000000000000"),
    (123456789012345680000.0, "123456789012345680000"),
    (1e21, "1e+21"),
    (1.25e25, "1.25e+25"),
    (10**20, "100000000000000000000"),
    (10**21, "1e+21"),
    (2**53, "9007199254740992"),
    (2**53 + 1, "9007199254740992"),
    (-(2**53), "-9007199254740992"),
    (-(2**53) - 1, "-9007199254740992"),
    (2**60, "1152921504606847000"),
    (10**400, "Infinity"),
    (-(10**400), "-Infinity"),
    (NAN, "NaN"),
    (INF, "Infinity"),
    (-INF, "-Infinity"),
    ([], ""),
    ([1, None, "a", [True, [2.0]], UNDEFINED], "1,,a,true,2,"),
    ({}, "[object Object]"),
    ([{"a": 1}], "[object Object]"),
]


@each_case("value, text", TO_TEXT, ids=shown)
def test_to_text_equals_string_of_javascript(value: Any, text: str) -> None:
    assert javascript.to_text(value) == text


@given(values)
@example(1e21)
@example(1e-7)
def test_to_text_agrees_with_the_interpreter(value: Any) -> None:
    assert javascript.to_text(value) == logic_interpreter.text(value)


@given(st.floats(allow_nan=False))
def test_text_of_a_number_parses_to_the_number(number: float) -> None:
    assert javascript.to_number(javascript.to_text(number)) == number


@each_case(
    "value, answer",
    [
        (None, False),
        (UNDEFINED, False),
        (False, False),
        (True, True),
        (0, False),
        (0.0, False),
        (-0.0, False),
        (NAN, False),
        (1, True),
        (-0.5, True),
        (INF, True),
        ("", False),
        ("0", True),
        ("false", True),
        (" ", True),
        ([], False),
        ([0], True),
        ([[]], True),
        ({}, True),
        ({"a": None}, True),
    ],
)
def test_truthiness_equals_json_logic_js(value: Any, answer: bool) -> None:
    assert javascript.truthy(value) is answer


# left, right, ==, ===
EQUALITY = [
    (None, None, True, True),
    (None, UNDEFINED, True, False),
    (UNDEFINED, UNDEFINED, True, True),
    (None, 0, False, False),
    (None, "", False, False),
    (None, False, False, False),
    (None, "null", False, False),
    (None, "None", False, False),
    (None, [], False, False),
    (None, [None], False, False),
    (UNDEFINED, "undefined", False, False),
    (UNDEFINED, 0, False, False),
    (UNDEFINED, {}, False, False),
    (5, "5", True, False),
    (5, "5.0", True, False),
    (1.0, "1", True, False),
    (1000, "1e3", True, False),
    (31, "0x1f", True, False),
    (0, "", True, False),
    (0, " \n", True, False),
    (0, "a", False, False),
    (True, "1", True, False),
    (True, "true", False, False),
    (False, "", True, False),
    (False, "0", True, False),
    (False, 0, True, False),
    (True, 1, True, False),
    (True, 2, False, False),
    (True, True, True, True),
    (True, False, False, False),
    (5, 5.0, True, True),
    (2**53, 2**53 + 1, True, True),
    (2**53, 2.0**53, True, True),
    (2**53 + 2, 2**53 + 1, False, False),
    (10**400, 10**500, True, True),
    (10**400, INF, True, True),
    (10**400, -(10**400), False, False),
    (0.0, -0.0, True, True),
    (NAN, NAN, False, False),
    (NAN, "NaN", False, False),
    ("a", "a", True, True),
    ("a", "A", False, False),
    ("5", "5.0", False, False),
    ("", "0", False, False),
    ("", "", True, True),
    (LIST, LIST, True, True),
    (LIST, [1], False, False),
    (LIST, 1, True, False),
    (LIST, "1", True, False),
    (LIST, True, True, False),
    (LIST, 2, False, False),
    ([], 0, True, False),
    ([], "", True, False),
    ([], False, True, False),
    ([], [], False, False),
    ([1, 2], "1,2", True, False),
    ([None], "", True, False),
    ([[5]], 5, True, False),
    (OBJECT, OBJECT, True, True),
    (OBJECT, {"a": 1}, False, False),
    (OBJECT, "[object Object]", True, False),
    (OBJECT, [OBJECT], False, False),
    (OBJECT, NAN, False, False),
    (OBJECT, 1, False, False),
]


@each_case("left, right, loosely, strictly", EQUALITY, ids=shown)
def test_equality_is_that_of_javascript_and_symmetric(
    left: Any, right: Any, loosely: bool, strictly: bool
) -> None:
    assert javascript.loose_equal(left, right) is loosely
    assert javascript.loose_equal(right, left) is loosely
    assert javascript.strict_equal(left, right) is strictly
    assert javascript.strict_equal(right, left) is strictly


# left, right, left < right, right < left, whether they are also in order when equal
ORDER = [
    (1, 2, True, False),
    (1, "2", True, False),
    ("10", 9, False, True),
    ("10", "9", True, False),
    ("1e3", 999, False, True),
    ("abc", 5, False, False),
    ("Zebra", "apple", True, False),
    ("a", "ab", True, False),
    ("", "a", True, False),
    ("\uffff", "\U0001f600", False, True),  # UTF-16 units, not code points
    ("\U0001f600", "\U0001f601", True, False),
    ("\ud83d", "\U0001f600", True, False),
    (NAN, 1, False, False),
    (1, UNDEFINED, False, False),
    ("a", UNDEFINED, False, False),
    (True, 2, True, False),
    (False, "1", True, False),
    (10**400, INF, False, False),
    (1, 10**400, True, False),
    ([1], 2, True, False),
    ([], 1, True, False),
    ([2], "10", False, True),
    ([1, 2], 3, False, False),
    ({}, "a", True, False),
    ({}, 1, False, False),
    # exceptions from JavaScript
    (None, 1, False, False),
    (None, -1, False, False),
    (None, "a", False, False),
    (None, True, False, False),
    ("", 1, False, False),
    ("", -1, False, False),
    ("", True, False, False),
    ("", [1], True, False),
]


@each_case("left, right, below, above", ORDER, ids=shown)
def test_order_is_that_of_javascript(left: Any, right: Any, below: bool, above: bool) -> None:
    assert javascript.less(left, right) is below
    assert javascript.less(right, left) is above


@each_case(
    "left, right, answer",
    [
        (1, 1, True),
        (1, "1.0", True),
        ("a", "a", True),
        ("", "", True),
        ([], [], True),
        ([1], "1", True),
        ({}, {}, True),
        (True, 1, True),
        (10**400, INF, True),
        ("1", "1.0", True),
        ("1.0", "1", False),
        (NAN, NAN, False),
        (None, None, False),
        (None, 0, False),
        (None, "", False),
        ("", 0, False),
        ("", False, False),
        ("", None, False),
        ("", [], True),
        ([], "", True),
        (UNDEFINED, UNDEFINED, False),
        ("abc", 5, False),
        (1, 2, True),
        (2, 1, False),
    ],
)
def test_less_equal_holds_for_equal_and_for_less(left: Any, right: Any, answer: bool) -> None:
    assert javascript.less_equal(left, right) is answer


@given(values, values)
def test_comparisons_agree_with_the_interpreter(left: Any, right: Any) -> None:
    for operator, function in [
        ("==", javascript.loose_equal),
        ("===", javascript.strict_equal),
        ("<", javascript.less),
        ("<=", javascript.less_equal),
    ]:
        data = {"left": left, "right": right}
        expected = logic_interpreter.apply({operator: [{"var": "left"}, {"var": "right"}]}, data)
        assert function(left, right) is expected, operator


@each_case(
    "value, name, member",
    [
        ({"a": 1}, "a", 1),
        ({"a": None}, "a", None),
        ({"a": 1}, "b", UNDEFINED),
        ({"": 1}, "", 1),
        ({}, "length", UNDEFINED),
        ({}, "__proto__", UNDEFINED),
        ({}, "constructor", UNDEFINED),
        ({}, "keys", UNDEFINED),
        ([1, 2], "0", 1),
        ([1, 2], "1", 2),
        ([1, 2], "2", UNDEFINED),
        ([1, 2], "-1", UNDEFINED),
        ([1, 2], "01", UNDEFINED),
        ([1, 2], "00", UNDEFINED),
        ([1, 2], "1.0", UNDEFINED),
        ([1, 2], " 1", UNDEFINED),
        ([1, 2], "١", UNDEFINED),
        ([1, 2], "²", UNDEFINED),
        ([1, 2], "9" * 5000, UNDEFINED),
        ([1, 2], "", UNDEFINED),
        ([1, 2], "length", 2),
        ([1, 2], "append", UNDEFINED),
        ("abc", "1", "b"),
        ("abc", "3", UNDEFINED),
        ("abc", "length", 3),
        ("", "0", UNDEFINED),
        ("", "length", 0),
        ("ä\U0001f600", "length", 3),
        ("ä\U0001f600", "0", "ä"),
        ("ä\U0001f600", "2", "\ude00"),
        ("abc", "upper", UNDEFINED),
        (5, "real", UNDEFINED),
        (5, "0", UNDEFINED),
        (True, "length", UNDEFINED),
        (1.5, "is_integer", UNDEFINED),
    ],
)
def test_member_is_a_key_an_index_or_a_length(value: Any, name: str, member: Any) -> None:
    assert javascript.member(value, name) == member


SUBSTRINGS = [
    ("jsonlogic", 4, None, "logic"),
    ("jsonlogic", -5, None, "logic"),
    ("jsonlogic", 1, 3, "son"),
    ("jsonlogic", -5, 3, "log"),
    ("jsonlogic", 0, 0, ""),
    ("jsonlogic", 0, -1, ""),
    ("jsonlogic", 9, None, ""),
    ("jsonlogic", 99, None, ""),
    ("jsonlogic", -99, 2, "js"),
    ("jsonlogic", 0, 99, "jsonlogic"),
    ("jsonlogic", 2**53, 1, ""),
    ("", 0, None, ""),
    ("aä\U0001f600b", 2, 1, "\ud83d"),
    ("aä\U0001f600b", 2, 2, "\U0001f600"),
    ("aä\U0001f600b", -1, None, "b"),
    ("a\ud800b", 1, 1, "\ud800"),
]


@each_case("text, start, length, part", SUBSTRINGS, ids=shown)
def test_substring_is_cut_in_utf_16_units(text: str, start: int, length: int | None, part: str) -> None:
    assert javascript.substring(text, start, length) == part


@each_case("text, length", [("", 0), ("abc", 3), ("ä", 1), ("\U0001f600", 2), ("\ud83d", 1)])
def test_length_of_a_text_is_counted_in_utf_16_units(text: str, length: int) -> None:
    assert javascript.text_length(text) == length


@each_case(
    "value, integer",
    [
        (2.9, 2),
        (-2.9, -2),
        ("3", 3),
        (None, 0),
        (True, 1),
        (NAN, 0),
        ("x", 0),
        (UNDEFINED, 0),
        (INF, 2**53),
        (-INF, -(2**53)),
        (1e300, 2**53),
    ],
)
def test_to_integer_cuts_the_fraction_and_saturates(value: Any, integer: int) -> None:
    assert javascript.to_integer(value) == integer


@each_case(
    "text, well_formed",
    [
        ("", ""),
        ("gold", "gold"),
        ("a\U0001f600b", "a\U0001f600b"),
        ("a\ud83d", "a\ufffd"),
        ("\ude00b", "\ufffdb"),
        ("\ud83d\ude00", "\U0001f600"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
    ],
    ids=ascii,
)
def test_well_formed_text_has_no_lone_surrogates(text: str, well_formed: str) -> None:
    assert javascript.well_formed(text) == well_formed


def test_undefined_is_false_and_has_a_repr() -> None:
    assert not UNDEFINED
    assert repr(UNDEFINED) == "UNDEFINED"
