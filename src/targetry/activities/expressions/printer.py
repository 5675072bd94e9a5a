"""Printer of conditions: JSON Logic to the text of an audience expression."""

from __future__ import annotations

import json
import keyword
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from targetry.activities.expressions.forms import (
    ARITHMETIC,
    CHAINED,
    COMPARISONS,
    FACTS,
    FUNCTION_OF,
    FUNCTIONS,
    PARAMETERS,
    UNARY,
    ends_with,
    starts_with,
)

_MAX_DEPTH: Final = 60
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Characters that JSON leaves as they are and a file should not have.
_INVISIBLE: Final = re.compile("[\x7f-\xa0\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]")
_CLOCK: Final = {"var": "current_timestamp"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Numbers next to the clock that are printed as times: the years 2000 to 2099, in milliseconds.
_TIMES: Final = range(946_684_800_000, 4_102_444_800_000)

# How tightly each form binds, as in Python.
_CHOICE, _OR, _AND, _NOT, _COMPARISON, _SUM, _PRODUCT, _SIGN, _ATOM = range(9)
_COMPARING: Final = frozenset(COMPARISONS.values())
_CALCULATING: Final = {name: _SUM if name in "+-" else _PRODUCT for name in ARITHMETIC.values()}
_SIGNS: Final = frozenset(UNARY.values())

Printed = tuple[str, int]


def print_expression(logic: Any) -> str:
    """Return a condition as the text of an audience expression.

    `parse_expression` of the text gives the same JSON, unless the text is beyond its limits. A part
    that has no form in the language is printed as `raw('<JSON>')`.

    Args:
        logic: The condition as parsed JSON.
    """
    return _print(logic, 0)[0]


def print_path(path: str) -> str | None:
    """Return the name of a fact or parameter in an expression, None if it has no name."""
    root, *parts = path.split(".")
    if root == PARAMETERS and parts:
        return PARAMETERS + "".join(map(_member, parts))
    return path if path in FACTS else None


def _member(part: str) -> str:
    if _IDENTIFIER.fullmatch(part) and not keyword.iskeyword(part):
        return f".{part}"
    return f"[{_text(part)}]"


def _print(logic: Any, depth: int) -> Printed:
    if depth > _MAX_DEPTH:
        return _raw(logic)
    if isinstance(logic, list):
        return f"[{_items(logic, depth)}]", _ATOM
    if isinstance(logic, dict):
        return _operation(logic, depth) or _raw(logic)
    if isinstance(logic, str):
        return _text(logic), _ATOM
    if logic is None or isinstance(logic, bool):
        return str(logic), _ATOM
    text = repr(logic).replace("inf", "1e999")
    return text, _SIGN if text.startswith("-") else _ATOM


def _operation(logic: dict[str, Any], depth: int) -> Printed | None:
    if len(logic) != 1:
        return None
    ((operator, operands),) = logic.items()
    if operator == "var":
        return _variable(operands, depth)
    if isinstance(operands, list):
        return (
            _affix(logic, depth)
            or _between(operator, operands, depth)
            or _function(operator, operands, depth)
        )
    return _unary(operator, operands, depth)


def _variable(operands: Any, depth: int) -> Printed:
    if isinstance(operands, str) and (name := print_path(operands)):
        return name, _ATOM
    both = isinstance(operands, list) and len(operands) in (0, 2)
    return f"var({_items(operands if both else [operands], depth)})", _ATOM


def _unary(operator: str, operand: Any, depth: int) -> Printed | None:
    if operator == "!!":
        return f"bool({_print(operand, depth + 1)[0]})", _ATOM
    if operator == "!":
        if isinstance(operand, dict) and operand.keys() == {"in"}:
            inner = _within(operand["in"], depth + 1, "not in")
            if inner is not None:
                return inner
        return f"not {_operand(operand, depth, _NOT)}", _NOT
    is_number = isinstance(operand, int | float) and not isinstance(operand, bool)
    if operator not in _SIGNS or (operator == "-" and is_number and not repr(operand).startswith("-")):
        return None
    return f"{operator}{_operand(operand, depth, _SIGN)}", _SIGN


def _within(operands: Any, depth: int, word: str) -> Printed | None:
    """Return membership in a literal list; other memberships are printed as `contains`."""
    if isinstance(operands, list) and len(operands) == 2 and isinstance(operands[1], list):
        left, right = (_operand(operand, depth, _SUM) for operand in operands)
        return f"{left} {word} {right}", _COMPARISON
    return None


def _affix(logic: dict[str, Any], depth: int) -> Printed | None:
    """Return a comparison with the start or the end of a text."""
    match logic:
        case {"==": [{"substr": [subject, *_]}, str(text)]} if text and max(text) <= "\uffff":
            for name, build in (("starts_with", starts_with), ("ends_with", ends_with)):
                if _same(logic, build(subject, text)):
                    return f"{name}({_print(subject, depth + 1)[0]}, {_text(text)})", _ATOM
    return None


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two conditions are equal, with 1, 1.0 and true as different numbers."""
    return json.dumps(one) == json.dumps(other)


def _between(operator: str, operands: list[Any], depth: int) -> Printed | None:
    """Return an operation with its operator between the operands."""
    if operator == "in" and len(operands) == 2:
        if within := _within(operands, depth, "in"):
            return within
        part, text = (_print(operand, depth + 1)[0] for operand in operands)
        return f"contains({text}, {part})", _ATOM
    if operator in ("and", "or") and len(operands) > 1:
        level = _AND if operator == "and" else _OR
        return f" {operator} ".join(_operand(operand, depth, level + 1) for operand in operands), level
    if operator in _COMPARING - {"in"} and (
        len(operands) == 2 or (len(operands) == 3 and operator in CHAINED)
    ):
        is_time = _CLOCK in operands
        texts = [
            _time(operand) if is_time and _is_time(operand) else _operand(operand, depth, _SUM)
            for operand in operands
        ]
        return f" {operator} ".join(texts), _COMPARISON
    if operator in _CALCULATING and len(operands) == 2:
        level = _CALCULATING[operator]
        left, right = _operand(operands[0], depth, level), _operand(operands[1], depth, level + 1)
        return f"{left} {operator} {right}", level
    if operator == "if" and len(operands) == 3:
        test, body = (_operand(operand, depth, _OR) for operand in operands[:2])
        return f"{body} if {test} else {_operand(operands[2], depth, _CHOICE)}", _CHOICE
    return None


def _function(operator: str, operands: list[Any], depth: int) -> Printed | None:
    name = FUNCTION_OF.get(operator)
    if name is None or not FUNCTIONS[name].accepts(len(operands)):
        return None
    return f"{name}({_items(operands, depth)})", _ATOM


def _items(items: list[Any], depth: int) -> str:
    return ", ".join(_print(item, depth + 1)[0] for item in items)


def _operand(logic: Any, depth: int, level: int) -> str:
    """Return an operand, in brackets if it binds less tightly than its place needs."""
    text, own = _print(logic, depth + 1)
    return text if own >= level else f"({text})"


def _is_time(value: Any) -> bool:
    return type(value) is int and value in _TIMES


def _time(milliseconds: int) -> str:
    time = _EPOCH + timedelta(milliseconds=milliseconds)
    precision = "milliseconds" if milliseconds % 1000 else "seconds"
    return f'at("{time.isoformat(timespec=precision).removesuffix("+00:00")}Z")'


def _text(value: str) -> str:
    return _INVISIBLE.sub(_escape, json.dumps(value, ensure_ascii=False))


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match.group()):04x}"


def _raw(logic: Any) -> Printed:
    text = json.dumps(logic, ensure_ascii=False, separators=(",", ":"))
    text = _INVISIBLE.sub(_escape, text).replace("\\", "\\\\").replace("'", "\\'")
    return f"raw('{text}')", _ATOM
