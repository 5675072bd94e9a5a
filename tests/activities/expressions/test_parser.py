"""Audience expressions become JSON Logic, or an error with its position."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.cases import each_case
from support.examples import examples
from targetry.activities.expressions import ExpressionError, parse_expression, referenced_names
from targetry.activities.expressions.parser import parse_with_marks

COUNTRY = {"var": "geo.country"}
URL = {"var": "page.url_lc"}
X = {"var": "mbox.x"}
AUDIENCES: dict[str, Any] = {"us": {"==": [COUNTRY, "US"]}, "beta": {"==": [X, "beta"]}}

FORMS: dict[str, Any] = {
    'geo.country == "US"': {"==": [COUNTRY, "US"]},
    '"US" == geo.country': {"==": ["US", COUNTRY]},
    "mbox.x != 1": {"!=": [X, 1]},
    "mbox.x < 1.0": {"<": [X, 1.0]},
    "1 <= mbox.x <= 5": {"<=": [1, X, 5]},
    "1 < mbox.x < 5": {"<": [1, X, 5]},
    "1 <= mbox.x < 5": {"and": [{"<=": [1, X]}, {"<": [X, 5]}]},
    "1 < mbox.x < 5 < 6": {"and": [{"<": [1, X]}, {"<": [X, 5]}, {"<": [5, 6]}]},
    "mbox.x and us and beta": {"and": [X, AUDIENCES["us"], AUDIENCES["beta"]]},
    "(mbox.x and us) and beta": {"and": [{"and": [X, AUDIENCES["us"]]}, AUDIENCES["beta"]]},
    "mbox.x or us and beta": {"or": [X, {"and": [AUDIENCES["us"], AUDIENCES["beta"]]}]},
    "not mbox.x == 1": {"!": {"==": [X, 1]}},
    "us and not beta": {"and": [AUDIENCES["us"], {"!": AUDIENCES["beta"]}]},
    'mbox.x in ["a", "b"]': {"in": [X, ["a", "b"]]},
    'mbox.x not in ["a"]': {"!": {"in": [X, ["a"]]}},
    'contains(page.url_lc, "x")': {"in": ["x", URL]},
    'starts_with(url, "aé")': {"==": [{"substr": [URL, 0, 2]}, "aé"]},
    'ends_with(url, "abc")': {"==": [{"substr": [URL, -3]}, "abc"]},
    'current_timestamp >= at("1970-01-01T01:00:00.500+01:00")': {">=": [{"var": "current_timestamp"}, 500]},
    "bool(mbox.x)": {"!!": X},
    "cat(mbox.x, 1)": {"cat": [X, 1]},
    "substr(mbox.x, -2, 1)": {"substr": [X, -2, 1]},
    "min(1, mbox.x)": {"min": [1, X]},
    "max()": {"max": []},
    "merge([1], 2)": {"merge": [[1], 2]},
    'missing("mbox.x")': {"missing": ["mbox.x"]},
    'missing_some(1, ["a"])': {"missing_some": [1, ["a"]]},
    "strict_eq(mbox.x, 1)": {"===": [X, 1]},
    "strict_ne(mbox.x, None)": {"!==": [X, None]},
    "all_of(mbox.x)": {"and": [X]},
    "any_of(mbox.x, 1)": {"or": [X, 1]},
    'var("odd")': {"var": "odd"},
    'var("mbox.x", 7)': {"var": ["mbox.x", 7]},
    "var()": {"var": []},
    "raw('{\"map\": [[1], true]}')": {"map": [[1], True]},
    "mbox.x + 1 - 2 * 3 / 4 % 5": {"-": [{"+": [X, 1]}, {"%": [{"/": [{"*": [2, 3]}, 4]}, 5]}]},
    "-mbox.x": {"-": X},
    "--1": {"-": -1},
    "+mbox.x": {"+": X},
    "mbox.x == -1.5e3": {"==": [X, -1500.0]},
    "1 if mbox.x else [True, False, None]": {"if": [X, 1, [True, False, None]]},
    "param.x": X,
    'mbox["x"]': X,
    'mbox["odd-name"].b["c.d"]': {"var": "mbox.odd-name.b.c.d"},
    "browser": {"var": "user.browserType"},
    "platform": {"var": "user.platform"},
    "url": URL,
    "path": {"var": "page.path"},
    "allocation": {"var": "allocation"},
    "True": True,
    r'"\"\\\n\u00e9\x41"': '"\\\né\x41',
    "'single'": "single",
    ' mbox.x  # a comment with "\n\tand us ': {"and": [X, AUDIENCES["us"]]},
}


@each_case("text, logic", FORMS.items(), ids=FORMS)
def test_each_form_becomes_its_operation(text: str, logic: Any) -> None:
    assert repr(parse_expression(text, AUDIENCES)) == repr(logic)


ERRORS: dict[str, tuple[int, int, str]] = {
    'geo.contry == "US"': (1, 5, "TA103 geo has no 'contry'; did you mean 'country'?"),
    '"é" == geo["contry"]': (1, 12, "TA103 geo has no 'contry'; did you mean 'country'?"),
    "geo.country.code": (1, 13, "TA103 geo.country has no 'code'"),
    "geo": (1, 1, "TA103 geo is a group of values; write geo.city"),
    "mbox == 1": (1, 1, "TA103 mbox is a group of values; write mbox.name"),
    "url.path": (1, 5, "TA103 url has no 'path'"),
    'user.browserType is "chrome"': (1, 18, "TA102 `is` is not an operator here: write =="),
    "mbox.x is not 1": (1, 8, "TA102 `is not` is not an operator here: write !="),
    "mbox.x = 1": (1, 8, "TA102 `=` is not an operator here: write =="),
    "us && beta": (1, 4, "TA102 `&&` is not an operator here: write and"),
    "!us": (1, 1, "TA102 `!` is not an operator here: write not"),
    "mbox.x ** 2": (1, 8, "TA102 `**` is not an operator here"),
    "(x := 1)": (1, 4, "TA102 `:=` is not an operator here"),
    "1 < mbox.x > 2": (1, 14, "TA102 `>` cannot be part of a chain; join two comparisons with `and`"),
    "not [1]": (1, 1, "TA102 the operator cannot precede this operand"),
    'page.url_lc contains "x"': (
        1,
        13,
        'TA101 not an expression: invalid syntax; write contains(page.url_lc, "x")',
    ),
    "us AND beta": (1, 4, "TA101 not an expression: invalid syntax; write and"),
    'mbox.x in ["a" "b"]': (
        1,
        16,
        "TA101 not an expression: invalid syntax; put a comma between the texts",
    ),
    "": (1, 1, "TA101 the expression is empty; write True for every visitor"),
    "  # nothing": (1, 1, "TA101 the expression is empty; write True for every visitor"),
    "us and\n  (beta": (2, 3, "TA101 not an expression: '(' was never closed"),
    "us) or (beta": (1, 3, "TA101 not an expression: unmatched ')'"),
    "us and": (1, 4, "TA101 not an expression: it ends with `and`"),
    "us beta and (1)": (1, 4, "TA101 not an expression: invalid syntax"),
    "us and or beta": (1, 8, "TA101 not an expression: invalid syntax"),
    "us, beta": (1, 1, "TA101 not an expression of an audience"),
    "(...)": (1, 2, "TA101 not an expression of an audience"),
    "max(*mbox.x)": (1, 5, "TA101 not an expression of an audience"),
    "lambda: 1": (1, 1, "TA101 `lambda` is not allowed in an audience"),
    "[x for x in mbox.y]": (1, 4, "TA101 `for` is not allowed in an audience"),
    'f"{mbox.x}"': (1, 1, "TA101 a text cannot have the prefix f"),
    "mbox.class == 1": (1, 6, 'TA101 `class` is a keyword; write ["class"]'),
    "mbox[0]": (1, 6, 'TA101 the name in brackets is not a text; write mbox["name"]'),
    '"a".b': (1, 1, "TA101 only names have members"),
    '"abc': (1, 1, "TA101 the text has no closing quotation mark on its line"),
    r'"\d"': (1, 2, r"TA101 the text has an unknown escape \d; write \\ for a backslash"),
    '"\ud800"': (1, 2, "TA101 the text has half of a surrogate pair"),
    "mbox.x == 0x10": (1, 11, "TA101 0x10 is not a number"),
    "mbox.x == 1e999": (1, 11, "TA101 the number is too large"),
    "mbox.x == 1; 2": (1, 12, "TA101 not an expression: the character ';' is outside of a text"),
    "größe == 1": (
        1,
        3,
        "TA101 not an expression: the character '\\xf6' is outside of a text; "
        'write names with other letters than a to z as mbox["name"]',
    ),
    "not " * 70 + "us": (1, 261, "TA101 the expression is nested deeper than 64 levels"),
    "(" * 65 + "1" + ")" * 65: (1, 65, "TA101 brackets are nested deeper than 64 levels"),
    "[" + "1," * 2000 + "1]": (1, 4000, "TA101 the expression has more than 2,000 parts"),
    "raw('[" + "1," * 2000 + "1]')": (1, 1, "TA101 the expression has more than 2,000 parts"),
    "1" * 4097: (1, 1, "TA101 the expression has 4,097 characters; the most are 4,096"),
    "mbox.x == 1 and\n\n foo > 1": (3, 2, "TA104 unknown name 'foo'"),
    "beto": (1, 1, "TA104 unknown name 'beto'; did you mean 'beta'?"),
    "gee.country": (1, 1, "TA104 unknown name 'gee'; did you mean 'geo'?"),
    "true": (1, 1, "TA104 unknown name 'true'; write True"),
    "contains": (1, 1, "TA104 'contains' is a function; write contains(x, \"part\")"),
    "len(mbox.x) > 2": (1, 1, "TA105 no function 'len'"),
    '__import__("os")': (1, 1, "TA105 no function '__import__'"),
    'start_with(url, "a")': (1, 1, "TA105 no function 'start_with'; did you mean 'starts_with'?"),
    'mbox.x.lower() == "a"': (1, 1, "TA105 only functions can be called"),
    "contains(url)": (1, 1, 'TA105 contains takes 2 arguments, not 1; write contains(x, "part")'),
    "substr(url)": (1, 1, "TA105 substr takes 2 to 3 arguments, not 1"),
    "all_of()": (1, 1, "TA105 all_of takes at least 1 arguments, not 0"),
    "starts_with(url, mbox.x)": (
        1,
        18,
        'TA105 starts_with takes a literal text here; write starts_with(x, "start")',
    ),
    'ends_with(url, "")': (1, 16, "TA105 every text starts and ends with the empty text"),
    "bool([])": (1, 6, "TA105 bool cannot take a list"),
    'raw(\'{"a": 1, "a": 2}\')': (1, 5, "TA105 raw takes JSON: an object has a member twice"),
    "raw('NaN')": (1, 5, "TA105 raw takes JSON: NaN is not a number of JSON"),
    "raw('[\"\\\\ud800\"]')": (1, 1, "TA105 the JSON has half of a surrogate pair"),
    "raw('1e999')": (1, 1, "TA105 the JSON has a number that is too large"),
    'starts_with(url, "\U0001f600")': (
        1,
        18,
        "TA114 a character beyond U+FFFF has another length in other SDKs; use contains",
    ),
    'at("tomorrow")': (1, 4, "TA114 'tomorrow' is not a time; write at(\"2026-01-01T00:00:00Z\")"),
    'at("2026-01-01T00:00:00")': (
        1,
        4,
        "TA114 the time '2026-01-01T00:00:00' has no offset; append Z for UTC",
    ),
    'at("2026-01-01T00:00:00.0001Z")': (
        1,
        4,
        "TA114 the time '2026-01-01T00:00:00.0001Z' has parts of a millisecond",
    ),
}


@each_case("text, expected", ERRORS.items(), ids=ERRORS)
def test_each_mistake_is_reported_at_its_position(text: str, expected: tuple[int, int, str]) -> None:
    with pytest.raises(ExpressionError) as raised:
        parse_expression(text, AUDIENCES)
    line, column, message = expected
    assert str(raised.value) == f"{line}:{column}: {message}"


def test_expression_too_deep_for_the_parser_of_some_pythons_is_refused() -> None:
    with pytest.raises(ExpressionError, match="TA101 the expression is nested deeper than 64 levels"):
        parse_expression("-" * 4000 + "1", AUDIENCES)


def test_error_survives_pickling() -> None:
    error = ExpressionError("TA103", "geo has no 'contry'", 2, 3, "did you mean 'country'?")
    assert vars(pickle.loads(pickle.dumps(error))) == vars(error)


def test_positions_of_operations_are_those_of_their_texts() -> None:
    logic, marks = parse_with_marks('us and\n  "é" == mbox.x', AUDIENCES)
    assert marks[id(logic)] == (1, 1)
    assert marks[id(logic["and"][1])] == (2, 3)
    assert marks[id(logic["and"][1]["=="][1])] == (2, 10)
    assert id(AUDIENCES["us"]) not in marks


def test_expression_with_too_large_audiences_is_refused() -> None:
    audience: Any = {"==": [X, 1]}
    for _ in range(13):
        audience = {"or": [audience, audience]}
    with pytest.raises(ExpressionError, match="exceeds 20,000 nodes"):
        parse_expression("large", {"large": audience})
    for _ in range(90):
        audience = {"!": audience}
    with pytest.raises(ExpressionError, match="exceeds 100 levels"):
        parse_expression("deep", {"deep": audience})


@each_case(
    "text, names",
    [
        ("us and not beta or us", ["us", "beta"]),
        ('geo.country == "us" and browser == mbox.us', []),
        ("missing(us) and us.x and us[0]", ["us"]),
        ("us and é", []),
        ("True and allocation", []),
    ],
)
def test_referenced_names_are_those_that_the_language_does_not_define(text: str, names: list[str]) -> None:
    assert referenced_names(text) == names


FRAGMENTS = st.sampled_from(
    [
        *(
            " ",
            "\n",
            ".",
            ",",
            "(",
            ")",
            "[",
            "]",
            '"',
            "'",
            "\\",
            "#",
            "=",
            "==",
            "<",
            "<=",
            "-",
            "+",
            "*",
            "/",
            "%",
        ),
        *("and", "or", "not", "in", "is", "if", "else", "lambda", "for", "await", "None", "True", "..."),
        *(
            "geo",
            "geo.country",
            "mbox",
            "mbox.x",
            "us",
            "allocation",
            "url",
            "1",
            "0",
            "1e9",
            ".5",
            '"US"',
            "é",
            "\0",
        ),
        *(
            "contains(",
            "starts_with(",
            "at(",
            "var(",
            "raw('",
            "bool(",
            "max(",
            "all_of(",
            "\U0001f600",
            "\ud800",
        ),
    ]
)


@settings(max_examples=examples(300))
@given(
    st.lists(FRAGMENTS, max_size=12).map("".join) | st.lists(FRAGMENTS, max_size=9).map(" ".join) | st.text()
)
@example("us\x0cand\rbeta")
@example("1if us else 2")
@example('"\\N{DASH}"')
@example("'\\400'")
@example("ªus")
def test_any_text_is_parsed_or_refused_with_a_position_in_it(text: str) -> None:
    if (error := error_of(text)) is not None:
        lines = text.split("\n")
        assert 1 <= error.line <= len(lines)
        assert 1 <= error.column <= len(lines[error.line - 1]) + 1


def error_of(text: str) -> ExpressionError | None:
    try:
        parse_expression(text, AUDIENCES)
    except ExpressionError as error:
        return error
    return None
