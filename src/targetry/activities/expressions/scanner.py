"""Scanner of audience expressions: tokens, and everything that the language lacks.

The parser of Python reads only text that has passed, so it never sees other syntax and emits no
warning. The passed text has the length of the original, on one line, so offsets are equal.
"""

from __future__ import annotations

import keyword
import re
from bisect import bisect_right
from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple, NoReturn

from targetry.activities.expressions.errors import ExpressionError

MAX_LENGTH: Final = 4096
_MAX_BRACKETS: Final = 64

_TOKEN: Final = re.compile(
    r"""(?P<space>[ \t\n\r\f]+ | \#[^\n]*)
      | (?P<text>"(?:[^"\\\n\r\0]|\\.)*" | '(?:[^'\\\n\r\0]|\\.)*')
      | (?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<symbol>===|!==|==|!=|<>|<=|>=|:=|&&|\|\||\*\*|//|<<|>>|[-+*/%<>=()\[\],.!&|^~@?])
    """,
    re.VERBOSE,
)
_ESCAPE: Final = re.compile(
    r"""\\(?:[\\'"abfnrtv]|0(?![0-7])|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U000[0-9a-fA-F]{5}|U0010[0-9a-fA-F]{4})"""
)
_BACKSLASH: Final = re.compile(r"\\.")
LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SYMBOLS: Final = frozenset({"==", "!=", "<=", ">=", *"<>()[],.+-*/%"})
KEYWORDS: Final = frozenset({"and", "or", "not", "in", "if", "else", "True", "False", "None"})
_VALUES: Final = frozenset({"True", "False", "None"})
# symbol → the form of the language
_INSTEAD: Final = {
    "=": "==",
    "===": "== or strict_eq(a, b)",
    "!==": "!= or strict_ne(a, b)",
    "<>": "!=",
    "&&": "and",
    "&": "and",
    "||": "or",
    "|": "or",
    "!": "not",
    "~": "not",
    "?": "a if condition else b",
}
# word between two operands → the function
_INFIX: Final = {
    "contains": "contains",
    "includes": "contains",
    "starts_with": "starts_with",
    "startswith": "starts_with",
    "ends_with": "ends_with",
    "endswith": "ends_with",
}
_WORDS: Final = {"AND": "and", "OR": "or", "NOT": "not", "true": "True", "false": "False", "null": "None"}
_OPENING: Final = frozenset("([")
_CLOSING: Final = frozenset(")]")


class Token(NamedTuple):
    """A part of the text; `kind` is text, number, name or symbol."""

    kind: str
    text: str
    start: int


class ExpressionText:
    """Text of an expression, with the positions of its characters."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]

    def position(self, offset: int) -> tuple[int, int]:
        """Return line and column of a character, counted from 1."""
        line = bisect_right(self._lines, offset)
        return line, offset - self._lines[line - 1] + 1

    def fail(self, code: str, message: str, offset: int, hint: str | None = None) -> NoReturn:
        """Raise the error of the text at an offset."""
        raise ExpressionError(code, message, *self.position(offset), hint)


def scan(source: ExpressionText) -> tuple[tuple[Token, ...], str]:
    """Return the tokens of an expression, and its text on one line without comments.

    Raises:
        ExpressionError: The text is too long or contains syntax that the language lacks.
    """
    text = source.text
    if len(text) > MAX_LENGTH:
        source.fail("TA101", f"the expression has {len(text):,} characters; the most are {MAX_LENGTH:,}", 0)
    return _scan(text)


# A check reads each expression several times.
@lru_cache(maxsize=1024)
def _scan(text: str) -> tuple[tuple[Token, ...], str]:
    source = ExpressionText(text)
    tokens: list[Token] = []
    flat: list[str] = []
    offset = depth = 0
    while offset < len(text):
        match = _TOKEN.match(text, offset)
        if match is None:
            _fail_at_character(source, offset)
        kind, part = str(match.lastgroup), match.group()
        if kind == "space":
            flat.append(" " * len(part))
        else:
            flat.append(part)
            token = Token(kind, part, offset)
            _check(source, token, tokens)
            depth += (part in _OPENING) - (part in _CLOSING)
            if depth > _MAX_BRACKETS:
                source.fail("TA101", f"brackets are nested deeper than {_MAX_BRACKETS} levels", offset)
            tokens.append(token)
        offset = match.end()
    if not tokens:
        source.fail("TA101", "the expression is empty", 0, "write True for every visitor")
    _check_infix_words(source, tokens)
    if not _ends_operand(tokens[-1]):
        source.fail("TA101", f"not an expression: it ends with `{tokens[-1].text}`", tokens[-1].start)
    return tuple(tokens), "".join(flat)


def did_you_mean(word: str, names: Iterable[str]) -> str | None:
    """Return a hint with the name that a word resembles, None if no name does."""
    near = get_close_matches(word, sorted(names), 1)
    return f"did you mean '{near[0]}'?" if near else None


def _fail_at_character(source: ExpressionText, offset: int) -> NoReturn:
    char = source.text[offset]
    if char in "\"'":
        source.fail("TA101", "the text has no closing quotation mark on its line", offset)
    hint = None
    if char.isalnum():
        hint = 'write names with other letters than a to z as mbox["name"]'
    source.fail("TA101", f"not an expression: the character {char!a} is outside of a text", offset, hint)


def _check(source: ExpressionText, token: Token, before: list[Token]) -> None:
    last = before[-1] if before else None
    touches = last is not None and last.start + len(last.text) == token.start
    if token.kind == "text":
        if touches and last is not None and last.kind == "name" and last.text not in KEYWORDS:
            source.fail("TA101", f"a text cannot have the prefix {last.text}", last.start)
        _check_text(source, token)
    elif token.kind == "symbol" and token.text not in _SYMBOLS:
        instead = _INSTEAD.get(token.text)
        tail = f": write {instead}" if instead else ""
        source.fail("TA102", f"`{token.text}` is not an operator here{tail}", token.start)
    elif token.kind in ("name", "number") and touches and last is not None and last.kind == "number":
        source.fail("TA101", f"{last.text}{token.text} is not a number", last.start)
    elif token.kind == "name" and keyword.iskeyword(token.text):
        _check_keyword(source, token, last)


def _check_text(source: ExpressionText, token: Token) -> None:
    for match in _BACKSLASH.finditer(token.text):
        if not _ESCAPE.match(token.text, match.start()):
            source.fail(
                "TA101",
                f"the text has an unknown escape {match.group()}",
                token.start + match.start(),
                r"write \\ for a backslash",
            )
    if found := LONE_SURROGATE.search(token.text):
        source.fail("TA101", "the text has half of a surrogate pair", token.start + found.start())


def _check_keyword(source: ExpressionText, token: Token, last: Token | None) -> None:
    if last is not None and last.text == ".":
        source.fail("TA101", f"`{token.text}` is a keyword", token.start, f'write ["{token.text}"]')
    if token.text == "is":
        negated = re.compile(r"\s*not\b").match(source.text, token.start + 2)
        word, instead = ("is not", "!=") if negated else ("is", "==")
        source.fail("TA102", f"`{word}` is not an operator here: write {instead}", token.start)
    if token.text not in KEYWORDS:
        source.fail("TA101", f"`{token.text}` is not allowed in an audience", token.start)


def _ends_operand(token: Token) -> bool:
    if token.kind == "name":
        return token.text in _VALUES or not keyword.iskeyword(token.text)
    return token.kind in ("text", "number") or token.text in _CLOSING


def _starts_operand(token: Token) -> bool:
    if token.kind == "name":
        return token.text in _VALUES or not keyword.iskeyword(token.text)
    return token.kind in ("text", "number")


def _check_infix_words(source: ExpressionText, tokens: list[Token]) -> None:
    """Fail where two operands follow each other, with the form that was probably meant."""
    for position, (left, right) in enumerate(pairwise(tokens)):
        if not _ends_operand(left) or not _starts_operand(right):
            continue
        hint = None
        if right.kind == left.kind == "text":
            hint = "put a comma between the texts"
        elif right.text in _INFIX:
            after = tokens[position + 2].text if position + 2 < len(tokens) else '"…"'
            hint = f"write {_INFIX[right.text]}({_operand_before(source, tokens, position)}, {after})"
        elif right.text in _WORDS or left.text in _WORDS:
            word = right.text if right.text in _WORDS else left.text
            hint = f"write {_WORDS[word]}"
        source.fail("TA101", "not an expression: invalid syntax", right.start, hint)


def _operand_before(source: ExpressionText, tokens: list[Token], last: int) -> str:
    """Return the text of the dotted name that ends at a token."""
    first = last
    while first >= 2 and tokens[first - 1].text == "." and tokens[first].kind == "name":
        first -= 2
    return source.text[tokens[first].start : tokens[last].start + len(tokens[last].text)]
