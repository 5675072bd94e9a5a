"""Interpreter of JSON Logic with the semantics of json-logic-js: an oracle for the compiler.

The interpreter walks the tree and knows no facts. `_in_order` and `_contains` implement the two
deliberate differences from JavaScript. Texts are Python's, cut and ordered as UTF-16.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any


class _Nothing:
    """The value `undefined` of JavaScript."""

    def __repr__(self) -> str:
        return "NOTHING"


NOTHING = _Nothing()
_WHITE = (
    "\t\n\v\f\r\ufeff\u2028\u2029 \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u202f\u205f\u3000"
)


class InterpreterError(Exception):
    """A condition that raises an exception in JavaScript too."""


def apply(logic: Any, data: Any) -> Any:
    if isinstance(logic, list):
        return [apply(part, data) for part in logic]
    if not (isinstance(logic, dict) and len(logic) == 1):
        return logic
    ((operator, operands),) = logic.items()
    if not isinstance(operands, list):
        operands = [operands]
    if operator in _LAZY:
        return _LAZY[operator](operands, data)
    values = [apply(operand, data) for operand in operands]
    if operator in _WITH_DATA:
        return _WITH_DATA[operator](data, *values)
    if operator in _OPERATORS:
        return _OPERATORS[operator](*values)
    raise InterpreterError(f"unknown operator {operator}")


def truthy(value: Any) -> bool:
    if value is None or value is NOTHING or value is False:
        return False
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value != 0 and not _is_nan(value)
    return value not in ("", [])


# ── coercions ───


def number(value: Any) -> float:
    if value is NOTHING:
        return math.nan
    if value is None or value is False:
        return 0.0
    if value is True:
        return 1.0
    if isinstance(value, int | float):
        return _double(value)
    return _number_of(text(value))


def _double(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, 1 if value > 0 else -1)


def _number_of(source: str) -> float:
    source = source.strip(_WHITE)
    if source == "":
        return 0.0
    radix = {"0x": 16, "0o": 8, "0b": 2}.get(source[:2].lower())
    if radix is not None:
        allowed = "0123456789abcdefABCDEF" if radix == 16 else "01234567"[:radix]
        digits = source[2:]
        return _double(int(digits, radix)) if digits and set(digits) <= set(allowed) else math.nan
    return _signed(source)


def _signed(source: str) -> float:
    """Return the value of a decimal literal or Infinity, with or without a sign."""
    body = source[1:] if source[0] in "+-" else source
    sign = -1.0 if source[0] == "-" else 1.0
    if body == "Infinity":
        return sign * math.inf
    if not body or body[0] in "+-" or not set(body) <= set("0123456789.eE+-"):
        return math.nan
    try:
        return sign * float(body)
    except ValueError:
        return math.nan


def leading_number(value: Any) -> float:
    """Return the result of parseFloat."""
    source = text(value).lstrip(_WHITE)
    for end in range(len(source), 0, -1):
        found = _signed(source[:end])
        if not _is_nan(found):
            return found
    return math.nan


def text(value: Any) -> str:
    if value is NOTHING:
        return "undefined"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ",".join("" if item is None or item is NOTHING else text(item) for item in value)
    if isinstance(value, dict):
        return "[object Object]"
    return _text_of(_double(value))


def _text_of(value: float) -> str:
    if _is_nan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    return ("-" if sign else "") + _laid_out("".join(map(str, digits)), exponent)


def _laid_out(s: str, exponent: int) -> str:
    """Return Number::toString of ECMA-262: k digits `s`, and the position n of the point."""
    k = len(s)
    n = k + exponent
    if k <= n <= 21:
        return s + "0" * (n - k)
    if 0 < n <= 21:
        return s[:n] + "." + s[n:]
    if -6 < n <= 0:
        return "0." + "0" * -n + s
    e = ("+" if n - 1 > 0 else "-") + str(abs(n - 1))
    return f"{s}e{e}" if k == 1 else f"{s[0]}.{s[1:]}e{e}"


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_container(value: Any) -> bool:
    return isinstance(value, list | dict)


def _units(source: str) -> list[int]:
    units: list[int] = []
    for point in map(ord, source):
        if point < 0x10000:
            units.append(point)
        else:
            units += [0xD800 + (point - 0x10000 >> 10), 0xDC00 + (point - 0x10000) % 0x400]
    return units


def _of_units(units: list[int]) -> str:
    return b"".join(unit.to_bytes(2, "little") for unit in units).decode("utf-16-le", "surrogatepass")


def _integer(value: float) -> int:
    if _is_nan(value):
        return 0
    return int(max(-1e15, min(1e15, value)))


# ── operators of values ───


def _strictly_equal(a: Any = NOTHING, b: Any = NOTHING) -> bool:
    if _is_number(a) and _is_number(b):
        return number(a) == number(b)
    if isinstance(a, str) and isinstance(b, str):
        return a == b
    return a is b


def _loosely_equal(a: Any = NOTHING, b: Any = NOTHING) -> bool:
    nothing = (a is None or a is NOTHING, b is None or b is NOTHING)
    if any(nothing):
        return all(nothing)
    if _is_container(a) and _is_container(b):
        return a is b
    if _is_container(a):
        return _loosely_equal(text(a), b)
    if _is_container(b):
        return _loosely_equal(a, text(b))
    if isinstance(a, str) and isinstance(b, str):
        return a == b
    return number(a) == number(b)


def _in_order(a: Any, b: Any, compare: Callable[[Any, Any], bool]) -> bool:
    """Compare; unlike in JavaScript, null has no order, and an empty text only with a text."""
    if a is None or b is None:
        return False
    blank = "" in (a, b)
    a = text(a) if _is_container(a) else a
    b = text(b) if _is_container(b) else b
    if isinstance(a, str) and isinstance(b, str):
        return compare(_units(a), _units(b))
    return not blank and compare(number(a), number(b))


def _less(a: Any = NOTHING, b: Any = NOTHING, c: Any = NOTHING, *_: Any) -> bool:
    def below(x: Any, y: Any) -> bool:
        return bool(x < y)

    return _in_order(a, b, below) and (c is NOTHING or _in_order(b, c, below))


def _less_equal(a: Any = NOTHING, b: Any = NOTHING, c: Any = NOTHING, *_: Any) -> bool:
    def not_above(x: Any, y: Any) -> bool:
        return bool(x <= y)

    return _in_order(a, b, not_above) and (c is NOTHING or _in_order(b, c, not_above))


def _contains(needle: Any = NOTHING, haystack: Any = NOTHING, *_: Any) -> bool:
    """Return whether a text contains a text; unlike in JavaScript, it contains no other value."""
    if isinstance(haystack, str):
        return haystack != "" and isinstance(needle, str) and needle in haystack
    return isinstance(haystack, list) and any(_strictly_equal(needle, item) for item in haystack)


def _substr(source: Any = NOTHING, start: Any = NOTHING, length: Any = NOTHING, *_: Any) -> str:
    units = _units(text(source))
    begin = _integer(number(start))
    units = units[max(len(units) + begin, 0) if begin < 0 else begin :]
    if length is NOTHING:
        return _of_units(units)
    if number(length) < 0:
        is_number = _is_number(length)
        length = len(units) + number(length) if is_number else f"{len(units)}{text(length)}"
    return _of_units(units[: max(_integer(number(length)), 0)])


def _add(*values: Any) -> float:
    total = 0.0
    for value in values:
        total += leading_number(value)
    return total


def _multiply(*values: Any) -> Any:
    if not values:
        raise InterpreterError("reduce of an empty array with no initial value")
    product, *others = values
    for value in others:
        product = leading_number(product) * leading_number(value)
    return product


def _subtract(a: Any = NOTHING, b: Any = NOTHING, *_: Any) -> float:
    return -number(a) if b is NOTHING else number(a) - number(b)


def _divide(a: Any = NOTHING, b: Any = NOTHING, *_: Any) -> float:
    top, bottom = number(a), number(b)
    if bottom == 0:
        sign = math.copysign(1, top) * math.copysign(1, bottom)
        return math.nan if top == 0 or _is_nan(top) else sign * math.inf
    return top / bottom


def _remainder(a: Any = NOTHING, b: Any = NOTHING, *_: Any) -> float:
    top, bottom = number(a), number(b)
    return math.nan if bottom == 0 or math.isinf(top) else math.fmod(top, bottom)


def _extreme(choose: Callable[..., float], of_none: float) -> Callable[..., float]:
    def extreme(*values: Any) -> float:
        numbers = [number(value) for value in values]
        return math.nan if any(map(_is_nan, numbers)) else choose(numbers, default=of_none)

    return extreme


def _merge(*values: Any) -> list[Any]:
    merged: list[Any] = []
    for value in values:
        merged += value if isinstance(value, list) else [value]
    return merged


def _cat(*values: Any) -> str:
    return "".join("" if value is None or value is NOTHING else text(value) for value in values)


_OPERATORS: dict[str, Callable[..., Any]] = {
    "==": lambda a=NOTHING, b=NOTHING, *_: _loosely_equal(a, b),
    "!=": lambda a=NOTHING, b=NOTHING, *_: not _loosely_equal(a, b),
    "===": lambda a=NOTHING, b=NOTHING, *_: _strictly_equal(a, b),
    "!==": lambda a=NOTHING, b=NOTHING, *_: not _strictly_equal(a, b),
    "<": _less,
    "<=": _less_equal,
    ">": lambda a=NOTHING, b=NOTHING, *_: _less(b, a),
    ">=": lambda a=NOTHING, b=NOTHING, *_: _less_equal(b, a),
    "!": lambda a=NOTHING, *_: not truthy(a),
    "!!": lambda a=NOTHING, *_: truthy(a),
    "in": _contains,
    "cat": _cat,
    "substr": _substr,
    "merge": _merge,
    "log": lambda a=NOTHING, *_: a,
    "+": _add,
    "*": _multiply,
    "-": _subtract,
    "/": _divide,
    "%": _remainder,
    "min": _extreme(min, math.inf),
    "max": _extreme(max, -math.inf),
}

# ── operators that look into the data ───


def _var(data: Any, path: Any = NOTHING, default: Any = None, *_: Any) -> Any:
    if path is None or path is NOTHING or path == "":
        return data
    for name in text(path).split("."):
        if data is None or data is NOTHING:
            return default
        data = _member(data, name)
        if data is NOTHING:
            return default
    return data


def _member(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return value.get(name, NOTHING)
    if not isinstance(value, list | str):
        return NOTHING
    items: list[Any] = value if isinstance(value, list) else [_of_units([unit]) for unit in _units(value)]
    named = {str(i): item for i, item in enumerate(items)} | {"length": len(items)}
    return named.get(name, NOTHING)


def _missing(data: Any, *values: Any) -> list[Any]:
    names = values[0] if values and isinstance(values[0], list) else values
    found = [(name, _var(data, *name) if isinstance(name, list) else _var(data, name)) for name in names]
    return [name for name, value in found if value is None or value == ""]


def _missing_some(data: Any, needed: Any = NOTHING, names: Any = NOTHING, *_: Any) -> list[Any]:
    if names is None or names is NOTHING:
        raise InterpreterError("missing_some of nothing")
    absent = _missing(data, *names) if isinstance(names, list) else _missing(data, names)
    return [] if number(_member(names, "length")) - len(absent) >= number(needed) else absent


_WITH_DATA: dict[str, Callable[..., Any]] = {"var": _var, "missing": _missing, "missing_some": _missing_some}

# ── operators that do not evaluate all of their operands ───


def _if(operands: list[Any], data: Any) -> Any:
    while len(operands) > 1:
        condition, then, *operands = operands
        if truthy(apply(condition, data)):
            return apply(then, data)
    return apply(operands[0], data) if operands else None


def _and(operands: list[Any], data: Any) -> Any:
    value: Any = NOTHING
    for operand in operands:
        value = apply(operand, data)
        if not truthy(value):
            break
    return value


def _or(operands: list[Any], data: Any) -> Any:
    value: Any = NOTHING
    for operand in operands:
        value = apply(operand, data)
        if truthy(value):
            break
    return value


def _items(operands: list[Any], data: Any) -> list[Any]:
    items = apply(operands[0], data) if operands else None
    return items if isinstance(items, list) else []


def _each(operands: list[Any], data: Any) -> list[Any]:
    logic = operands[1] if len(operands) > 1 else NOTHING
    return [apply(logic, item) for item in _items(operands, data)]


def _filter(operands: list[Any], data: Any) -> list[Any]:
    logic = operands[1] if len(operands) > 1 else NOTHING
    return [item for item in _items(operands, data) if truthy(apply(logic, item))]


def _reduce(operands: list[Any], data: Any) -> Any:
    logic = operands[1] if len(operands) > 1 else NOTHING
    result = apply(operands[2], data) if len(operands) > 2 else None
    for item in _items(operands, data):
        result = apply(logic, {"current": item, "accumulator": result})
    return result


_LAZY: dict[str, Callable[[list[Any], Any], Any]] = {
    "if": _if,
    "?:": _if,
    "and": _and,
    "or": _or,
    "map": _each,
    "filter": _filter,
    "reduce": _reduce,
    "all": lambda operands, data: bool(_items(operands, data)) and all(map(truthy, _each(operands, data))),
    "none": lambda operands, data: not any(map(truthy, _each(operands, data))),
    "some": lambda operands, data: any(map(truthy, _each(operands, data))),
}
