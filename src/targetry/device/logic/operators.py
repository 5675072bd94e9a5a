"""Operators of JSON Logic that are functions of their operands' values, and the loop operators.

Every function returns a result for any JSON values, or raises `EvaluationError` if the condition
exceeds the work or the size of values that a decision is allowed. Operators take the facts, which
count the work, and the list of their operands' values.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from targetry.device.logic.javascript import (
    UNDEFINED,
    EvaluationError,
    less,
    less_equal,
    member,
    parse_float,
    strict_equal,
    substring,
    text_length,
    to_integer,
    to_number,
    to_text,
    truthy,
)

if TYPE_CHECKING:
    from targetry.device.logic.facts import Facts

__all__ = [
    "all_list",
    "filter_list",
    "less",
    "less_equal",
    "less_equal_or_undefined",
    "less_or_undefined",
    "map_list",
    "missing",
    "missing_some",
    "none_list",
    "reduce_list",
    "some_list",
    "variable",
    "walk",
    "whole_context",
]

MAX_LENGTH = 1_000_000
_LONG = 8192  # characters; texts of requests are shorter

Operator = Callable[["Facts", list[Any]], Any]
Item = Callable[[Any], Any]


def _argument(values: list[Any], position: int) -> Any:
    return values[position] if position < len(values) else UNDEFINED


# ── data ───


def whole_context(facts: Facts, allocation: float | None) -> dict[str, Any]:
    """Return the rule context; its `mbox` is the object that paths into `mbox` read."""
    return facts.as_dict(allocation) | {"mbox": facts.mbox}


def walk(data: Any, path: str, default: Any) -> Any:
    """Return the value at a dotted path; `default` if a step is missing."""
    if path == "":
        return data
    for part in path.split("."):
        data = member(data, part)
        if data is UNDEFINED:
            return default
    return data


def variable(data: Any, path: Any, default: Any) -> Any:
    """Return the value of a `var` whose path is computed."""
    if path is None or path is UNDEFINED or path == "":
        return data
    if (text := to_text(path)) != "":
        return walk(data, text, default)
    found = member(data, "")  # the text of an empty list is the name of a member
    return default if found is UNDEFINED else found


def missing(data: Any, values: list[Any]) -> list[Any]:
    """Return the paths whose value is null or an empty text; a list is a path and its default."""
    paths = values[0] if values and type(values[0]) is list else values
    return [path for path in paths if _found(data, path) in (None, "")]


def _found(data: Any, path: Any) -> Any:
    if type(path) is not list:
        return variable(data, path, None)
    return variable(data, _argument(path, 0), path[1] if len(path) > 1 else None)


def missing_some(data: Any, values: list[Any]) -> list[Any]:
    """Return the missing paths, or an empty list if enough of the paths have a value."""
    paths = _argument(values, 1)
    if paths is None or paths is UNDEFINED:
        raise EvaluationError("`missing_some` without paths")
    absent = missing(data, paths if type(paths) is list else [paths])
    there = to_number(member(paths, "length")) - len(absent)
    return [] if there >= to_number(_argument(values, 0)) else absent


def less_or_undefined(left: Any, right: Any) -> bool:
    """Return `left < right`, True if `right` is undefined."""
    return right is UNDEFINED or less(left, right)


def less_equal_or_undefined(left: Any, right: Any) -> bool:
    """Return `left <= right`, True if `right` is undefined."""
    return right is UNDEFINED or less_equal(left, right)


# ── loops ───
#
# `cost` is the number of nodes of the logic: the steps for one item.


def _items(facts: Facts, values: Any, cost: int) -> list[Any]:
    if type(values) is not list:
        return []
    facts.spend(len(values) * cost + 1)
    return values


def map_list(facts: Facts, values: Any, logic: Item, cost: int) -> list[Any]:
    """Return the results of the logic for all items."""
    return [logic(item) for item in _items(facts, values, cost)]


def filter_list(facts: Facts, values: Any, logic: Item, cost: int) -> list[Any]:
    """Return the items for which the logic holds."""
    return [item for item in _items(facts, values, cost) if truthy(logic(item))]


def all_list(facts: Facts, values: Any, logic: Item, cost: int) -> bool:
    """Return whether the logic holds for all items; False without items, unlike `all`."""
    items = _items(facts, values, cost)
    return bool(items) and all(truthy(logic(item)) for item in items)


def some_list(facts: Facts, values: Any, logic: Item, cost: int) -> bool:
    """Return whether the logic holds for at least one item."""
    return any(truthy(logic(item)) for item in _items(facts, values, cost))


def none_list(facts: Facts, values: Any, logic: Item, cost: int) -> bool:
    """Return whether the logic holds for no item."""
    return not some_list(facts, values, logic, cost)


def reduce_list(facts: Facts, values: Any, logic: Item, cost: int, start: Any) -> Any:
    """Return the last result of the logic, applied to each item and the previous result."""
    result = start
    for item in _items(facts, values, cost):
        result = logic({"current": item, "accumulator": result})
    return result


# ── texts and lists ───


def contains(facts: Facts, values: list[Any]) -> bool:
    """Return whether a text is in a text, or a value in a list; a number is never in a text."""
    needle, haystack = _argument(values, 0), _argument(values, 1)
    if type(haystack) is str:
        if len(haystack) > _LONG:
            facts.spend(len(haystack) // 64)
        return bool(haystack) and type(needle) is str and needle in haystack
    if type(haystack) is list:
        facts.spend(len(haystack))
        return any(strict_equal(needle, item) for item in haystack)
    return False


def concatenate(facts: Facts, values: list[Any]) -> str:
    texts = ["" if value is None or value is UNDEFINED else to_text(value) for value in values]
    length = sum(map(len, texts))
    if length > MAX_LENGTH:
        raise EvaluationError(f"a text longer than {MAX_LENGTH} characters")
    facts.spend(length // 64)
    return "".join(texts)


def substring_of(facts: Facts, values: list[Any]) -> str:
    text, start = to_text(_argument(values, 0)), to_integer(_argument(values, 1))
    length = _argument(values, 2)
    facts.spend(len(text) // 64)
    if not to_number(length) < 0:
        return substring(text, start, None if length is UNDEFINED else to_integer(length))
    rest = substring(text, start, None)
    count = text_length(rest)
    if type(length) in (int, float):
        return substring(rest, 0, to_integer(count + to_number(length)))
    return substring(rest, 0, to_integer(f"{count}{to_text(length)}"))  # JavaScript's + of a text


def merge(facts: Facts, values: list[Any]) -> list[Any]:
    merged: list[Any] = []
    for value in values:
        if type(value) is list:
            merged.extend(value)
        else:
            merged.append(value)
    facts.spend(len(merged))
    return merged


def log(facts: Facts, values: list[Any]) -> Any:
    """Return the first operand; nothing is printed."""
    return _argument(values, 0)


# ── arithmetic ───


def add(facts: Facts, values: list[Any]) -> float:
    total = 0.0
    for value in values:
        total += parse_float(value)
    return total


def multiply(facts: Facts, values: list[Any]) -> Any:
    if not values:
        raise EvaluationError("`*` without operands")
    if len(values) == 1:
        return values[0]
    product = 1.0
    for value in values:
        product *= parse_float(value)
    return product


def subtract(facts: Facts, values: list[Any]) -> float:
    left, right = to_number(_argument(values, 0)), _argument(values, 1)
    return -left if right is UNDEFINED else left - to_number(right)


def divide(facts: Facts, values: list[Any]) -> float:
    left, right = to_number(_argument(values, 0)), to_number(_argument(values, 1))
    if right:
        return left / right
    if not left or left != left or right != right:
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1, right)


def remainder(facts: Facts, values: list[Any]) -> float:
    left, right = to_number(_argument(values, 0)), to_number(_argument(values, 1))
    if not right or math.isinf(left):
        return math.nan
    return math.fmod(left, right)


def least(facts: Facts, values: list[Any]) -> float:
    numbers = [to_number(value) for value in values]
    return math.nan if any(map(math.isnan, numbers)) else min(numbers, default=math.inf)


def greatest(facts: Facts, values: list[Any]) -> float:
    numbers = [to_number(value) for value in values]
    return math.nan if any(map(math.isnan, numbers)) else max(numbers, default=-math.inf)


OPERATORS: dict[str, Operator] = {
    "in": contains,
    "cat": concatenate,
    "substr": substring_of,
    "merge": merge,
    "log": log,
    "+": add,
    "*": multiply,
    "-": subtract,
    "/": divide,
    "%": remainder,
    "min": least,
    "max": greatest,
}
