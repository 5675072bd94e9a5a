"""JavaScript's coercions and comparisons of JSON values, on which json-logic-js operators rest.

The conditions of artifacts are written for JavaScript engines, so `"5" == 5`, the text of a number
and the order of two strings follow ECMAScript, with one exception: null, and `""` next to a number,
are in no order.

JSON values are None, bool, int, float, str, list and dict; `UNDEFINED` stands for a missing
operand.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final, final


@final
class Undefined:
    """The type of `UNDEFINED`."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNDEFINED"


UNDEFINED: Final = Undefined()

_SPACE = "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_RADIX = {"0x": 16, "0X": 16, "0o": 8, "0O": 8, "0b": 2, "0B": 2}
_INFINITIES = {"Infinity": math.inf, "+Infinity": math.inf, "-Infinity": -math.inf}
_NUMBER_TYPES = (int, float)
MAX_EXACT_INTEGER: Final = 2**53
_MAX_ITEMS = 10_000  # of a list that is converted to text


class EvaluationError(Exception):
    """A condition exceeds a limit of its evaluation; the rule is skipped."""


def truthy(value: Any) -> bool:
    """Return the truth value: false, 0, NaN, "", null and `[]` are falsy; `{}` and "0" are not."""
    if value:
        return bool(value == value)  # NaN is the one value that differs from itself
    return type(value) is dict


def to_number(value: Any) -> float:
    """Return `Number(value)`."""
    kind = type(value)
    if kind is float:
        return float(value)
    if kind is int or kind is bool:
        return _double(value)
    if kind is str:
        return _number_of_text(value)
    if value is None:
        return 0.0
    if value is UNDEFINED:
        return math.nan
    return _number_of_text(to_text(value))


def _double(number: int) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _number_of_text(text: str) -> float:
    text = text.strip(_SPACE)
    if not text:
        return 0.0
    if _DECIMAL.fullmatch(text):
        return float(text)
    radix = _RADIX.get(text[:2])
    if radix is not None:
        return _number_in_radix(text[2:], radix)
    return _INFINITIES.get(text, math.nan)


def _number_in_radix(digits: str, radix: int) -> float:
    if not digits.isascii() or not digits.isalnum():
        return math.nan
    try:
        return _double(int(digits, radix))
    except ValueError:
        return math.nan


def parse_float(value: Any) -> float:
    """Return `parseFloat(value)`: the number at the start of the value's text."""
    if type(value) in _NUMBER_TYPES:
        return to_number(value) + 0.0  # the text of -0 is "0"
    text = to_text(value).lstrip(_SPACE)
    match = _DECIMAL.match(text)
    if match:
        return float(match.group())
    for name, number in _INFINITIES.items():
        if text.startswith(name):
            return number
    return math.nan


def to_text(value: Any) -> str:
    """Return `String(value)`."""
    kind = type(value)
    if kind is str:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if kind in _NUMBER_TYPES:
        return _text_of_number(value)
    if kind is list:
        return _text_of_list(value, [_MAX_ITEMS])
    if value is None:
        return "null"
    return "undefined" if value is UNDEFINED else "[object Object]"


def _text_of_list(items: list[Any], left: list[int]) -> str:
    """Return the joined items; `left` holds the number of items still allowed.

    The count is shared by all levels, as a list can contain one list several times.
    """
    left[0] -= len(items)
    if left[0] < 0:
        raise EvaluationError(f"the text of a list with more than {_MAX_ITEMS} items")
    return ",".join(
        _text_of_list(item, left)
        if type(item) is list
        else ""
        if item is None or item is UNDEFINED
        else to_text(item)
        for item in items
    )


def _text_of_number(value: float) -> str:
    if type(value) is int and -MAX_EXACT_INTEGER <= value <= MAX_EXACT_INTEGER:
        return str(value)
    number = to_number(value)
    if number != number:
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    if number == 0:
        return "0"
    sign = "-" if number < 0 else ""
    return sign + _layout(*_shortest(abs(number)))


def _shortest(number: float) -> tuple[str, int]:
    """Return the shortest digits of the number and the position of the decimal point."""
    mantissa, _, exponent = repr(number).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    return digits.rstrip("0"), point


def _layout(digits: str, point: int) -> str:
    if len(digits) <= point <= 21:
        return digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    exponent = point - 1
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{'+' if exponent > 0 else '-'}{abs(exponent)}"


def strict_equal(left: Any, right: Any) -> bool:
    """Return `left === right`; two arrays or objects are equal only if they are the same object."""
    kind, other = type(left), type(right)
    if kind in _NUMBER_TYPES:
        return other in _NUMBER_TYPES and (left == right or to_number(left) == to_number(right))
    if kind is not other:
        return False
    if kind is list or kind is dict:
        return left is right
    return bool(left == right)


def loose_equal(left: Any, right: Any) -> bool:
    """Return `left == right`."""
    kind, other = type(left), type(right)
    if kind is other and kind is str:
        return bool(left == right)
    if left is None or left is UNDEFINED:
        return right is None or right is UNDEFINED
    if right is None or right is UNDEFINED:
        return False
    if kind is list or kind is dict:
        if other is list or other is dict:
            return left is right
        return loose_equal(to_text(left), right)
    if other is list or other is dict:
        return loose_equal(left, to_text(right))
    return to_number(left) == to_number(right)


def less(left: Any, right: Any) -> bool:
    """Return `left < right`; False if one is null, or `""` next to a number."""
    pair = _comparable(left, right)
    return pair is not None and pair[0] < pair[1]


def less_equal(left: Any, right: Any) -> bool:
    """Return `left <= right`, with the exceptions of `less`."""
    pair = _comparable(left, right)
    return pair is not None and pair[0] <= pair[1]


def _comparable(left: Any, right: Any) -> tuple[Any, Any] | None:
    if left is None or right is None:
        return None
    first, second = _primitive(left), _primitive(right)
    if type(first) is str and type(second) is str:
        return _order_key(first), _order_key(second)
    if left == "" or right == "":
        return None
    return to_number(first), to_number(second)


def _primitive(value: Any) -> Any:
    return to_text(value) if type(value) in (list, dict) else value


def _order_key(text: str) -> bytes:
    """Return a key that orders strings by UTF-16 code units, as JavaScript does."""
    return text.encode("utf-16-be", "surrogatepass")


def member(value: Any, name: str) -> Any:
    """Return `value[name]` for own keys, indexes and `length`; `UNDEFINED` for other names."""
    kind = type(value)
    if kind is dict:
        return value.get(name, UNDEFINED)
    if kind is not list and kind is not str:
        return UNDEFINED
    units = value if kind is list or value.isascii() else _units(value)
    if name == "length":
        return len(units)
    index = _index(name)
    return units[index] if index is not None and index < len(units) else UNDEFINED


def _index(name: str) -> int | None:
    """Return the index that `name` spells canonically (`1`, not `01`), else None."""
    if not name.isascii() or not name.isdigit() or len(name) > 9:
        return None
    return int(name) if name[0] != "0" or name == "0" else None


def _units(text: str) -> list[str]:
    coded = text.encode("utf-16-le", "surrogatepass")
    return [coded[i : i + 2].decode("utf-16-le", "surrogatepass") for i in range(0, len(coded), 2)]


def substring(text: str, start: int, length: int | None) -> str:
    """Return `text.substr(start, length)` in UTF-16 code units; without `length` up to the end."""
    coded = text.encode("utf-16-le", "surrogatepass")
    units = len(coded) // 2
    begin = max(units + start, 0) if start < 0 else min(start, units)
    end = units if length is None else min(begin + max(length, 0), units)
    return coded[2 * begin : 2 * end].decode("utf-16-le", "surrogatepass")


def text_length(text: str) -> int:
    """Return `text.length`, the number of UTF-16 code units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def well_formed(text: str) -> str:
    """Return `text.toWellFormed()`: the text with U+FFFD for each lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def to_integer(value: Any) -> int:
    """Return the integer that JavaScript's string functions use: NaN is 0, infinities saturate."""
    number = to_number(value)
    if number != number:
        return 0
    return int(max(-MAX_EXACT_INTEGER, min(MAX_EXACT_INTEGER, number)))
