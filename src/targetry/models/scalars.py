"""Readers of texts, ids, numbers, booleans and times, each with a message for a wrong value.

Subclasses (`SafeString`, `IntEnum`, …) become the plain type, by the methods of that type and not
by theirs. Every type that declares itself a number is accepted as one (`numbers.Number`,
`__index__`, `__float__`): Decimal, Fraction, the scalars of numpy. Members of an enum stand for
their value.
"""

from __future__ import annotations

import math
import operator
from datetime import datetime
from enum import Enum
from numbers import Number
from typing import Any, Final, cast
from uuid import UUID

import msgspec
from msgspec import inspect as kinds

from targetry.models.constraint import ConstraintError

_SHOWN = 40  # characters of a wrong value or a long name that a message repeats
_HUGE = 10**_SHOWN
_HUGE_FLOAT: Final = 2.0**63  # a larger whole number takes too long to write out


class ReadMode(msgspec.Struct, frozen=True):
    """Strictness of reading.

    Attributes:
        constraints: Lengths, ranges and enums hold.
        casts: Texts and integers are converted into each other.
        either_name: A mapping has the names of the wire or those of Python, and no others; without
            it, the names of the wire are read and others are ignored.
    """

    constraints: bool = False
    casts: bool = False
    either_name: bool = False


def read_text(value: object, kind: Any, path: str, mode: ReadMode) -> str:
    """Return a text."""
    text = plain_text(value)
    if text is None and mode.casts and isinstance(value, int | float):
        text = str(value)
    return _checked_text(text, value, "a string", kind, path, mode)


def read_id(value: object, kind: Any, path: str, mode: ReadMode) -> str:
    """Return an id as text, None for anything but texts, integers and UUIDs."""
    return _checked_text(text_of_id(value), value, "a string, an integer or a UUID", kind, path, mode)


def _checked_text(text: str | None, value: object, wanted: str, kind: Any, path: str, mode: ReadMode) -> str:
    if text is None:
        raise ConstraintError(path, f"must be {wanted}, not {type_name(value)}")
    if mode.constraints:
        check_length(text, kind, path, "character")
    return text


def read_literal(value: object, kind: Any, path: str, mode: ReadMode) -> str:
    """Return one of the texts of an enum."""
    text = read_text(value, kinds.StrType(), path, mode)
    if mode.constraints and text not in kind.values:
        raise ConstraintError(path, f"must be one of: {', '.join(kind.values)}; not {shown(text)}")
    return text


def read_int(value: object, kind: Any, path: str, mode: ReadMode) -> int:
    """Return an integer; a float without a fraction is one."""
    number = plain_number(value)
    if number is None and mode.casts:
        number = _cast_int(value)
    if number is None or (isinstance(number, float) and not number.is_integer()):
        raise ConstraintError(
            path, f"must be an integer, not {type_name(value) if number is None else number}"
        )
    whole = int(number)
    if mode.constraints:
        _check_range(whole, kind, path)
    return whole


def read_timestamp(value: object, kind: Any, path: str, mode: ReadMode) -> int:
    """Return epoch milliseconds of a number of them or of a datetime, rounded.

    A datetime without a zone is in local time, as for `datetime.timestamp()`.
    """
    if issubclass(type(value), datetime):
        number: float | None = cast(datetime, value).timestamp() * 1000
    else:
        number = plain_number(value)
    if number is None:
        wanted = "a number of milliseconds since 1970, or a datetime"
        raise ConstraintError(path, f"must be {wanted}, not {type_name(value)}")
    _check_finite(number, path)
    whole = round(number)
    _check_range(whole, kind, path)
    return whole


def read_float(value: object, kind: Any, path: str, mode: ReadMode) -> float:
    """Return a finite float."""
    number = plain_number(value)
    if number is None:
        raise ConstraintError(path, f"must be a number, not {type_name(value)}")
    number = _as_float(number)
    _check_finite(number, path)
    if mode.constraints:
        _check_range(number, kind, path)
    return number


def read_bool(value: object, kind: Any, path: str, mode: ReadMode) -> bool:
    """Return a boolean."""
    given = plain_bool(value)
    if given is not None:
        return given
    raise ConstraintError(path, f"must be a boolean, not {type_name(value)}")


def read_datetime(value: object, kind: Any, path: str, mode: ReadMode) -> datetime:
    """Return a datetime, also of ISO 8601 text; its zone becomes a fixed offset."""
    text = plain_text(value)
    if text is None and not issubclass(type(value), datetime):
        raise ConstraintError(path, f"must be a datetime, not {type_name(value)}")
    try:
        return datetime.fromisoformat(datetime.isoformat(cast(datetime, value)) if text is None else text)
    except Exception:  # a zone can raise anything
        given = f"{type_name(value)} with a broken zone" if text is None else shown(text)
        raise ConstraintError(path, f"must be a time in ISO 8601 form, not {given}") from None


def plain_scalar(value: object) -> str | int | float | bool | None:
    """Return the text, number or boolean in a value of any class, None for anything else."""
    if (text := plain_text(value)) is not None:
        return text
    given = _unwrapped(value)
    if given is True or given is False:
        return bool(given)
    number = plain_number(given)
    return str(given) if number is None and issubclass(type(given), UUID) else number


def plain_bool(value: object) -> bool | None:
    """Return the boolean in a value of any class, None for anything else; numbers are not."""
    given = _unwrapped(value)
    return bool(given) if given is True or given is False else None


def plain_number(value: object) -> int | float | None:
    """Return the real number in a value of any class, whole ones as int; None for anything else.

    A float stays a float. A number too large for a float is infinite.
    """
    kind = type(value)
    if issubclass(kind, bool):
        return None
    if issubclass(kind, int):
        return int.__int__(cast(int, value))
    if issubclass(kind, float):
        return float.__float__(cast(float, value))
    given = _unwrapped(value)
    if given is not value:
        return plain_number(given)
    return None if getattr(given, "ndim", 0) else _declared_number(given)


def _declared_number(given: Any) -> int | float | None:
    """Return the number that an object of another library's class declares itself to be."""
    kind = type(given)
    try:
        if hasattr(kind, "__index__"):
            return int(operator.index(given))
        if not (issubclass(kind, Number) or hasattr(kind, "__float__")):
            return None
        number = float(given)
        is_exact = issubclass(kind, Number) and abs(number) < _HUGE_FLOAT
        return whole if is_exact and (whole := int(given)) == given else number
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):  # a complex number, a signaling NaN
        return None


def _unwrapped(value: Any) -> Any:
    """Return the value of an enum member or of an array library's scalar, such as numpy's."""
    kind = type(value)
    if issubclass(kind, Enum):
        return value.value
    if hasattr(kind, "dtype") and hasattr(kind, "item") and not value.ndim:
        plain = value.item()
        return plain if type(plain) is not kind else value
    return value


def is_scalar(value: object, kind: kinds.Type) -> bool:
    """Return whether a value is of the Python type of `kind`; a boolean is not an integer."""
    wanted = _SCALARS[type(kind)]
    return issubclass(type(value), wanted) and (wanted is bool or not isinstance(value, bool))


_SCALARS: dict[type[kinds.Type], type] = {
    kinds.StrType: str,
    kinds.IntType: int,
    kinds.FloatType: float,
    kinds.BoolType: bool,
    kinds.NoneType: type(None),
}


def check_length(value: Any, kind: Any, path: str, unit: str) -> None:
    """Raise ConstraintError unless the length is within the limits of `kind`."""
    least, most, length = kind.min_length or 0, kind.max_length, len(value)
    if least <= length <= (length if most is None else most):
        return
    if least == most:
        raise ConstraintError(path, f"must have exactly {_count(most, unit)}, has {length}")
    if length >= least:
        raise ConstraintError(path, f"must have at most {_count(most, unit)}, has {length}")
    if length == 0:
        raise ConstraintError(path, "must not be empty")
    raise ConstraintError(path, f"must have at least {_count(least, unit)}, has {length}")


def type_name(value: object) -> str:
    """Return the name of a value's type, `null` for None."""
    return "null" if value is None else type(value).__name__


def shown(value: object) -> str:
    """Return a value as messages show it: short, without running code of its class."""
    text = plain_text(value)
    if text is None:
        is_short = type(value) in (float, bool, type(None)) or (type(value) is int and abs(value) < _HUGE)
        return repr(value) if is_short else f"<{type_name(value)}>"
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def plain_text(value: object) -> str | None:
    """Return the text of a str subclass or of an enum member; None for anything else."""
    if issubclass(type(value), str):
        return str.__str__(cast(str, value))
    if issubclass(type(value), Enum):
        meant = cast(Enum, value).value
        return str.__str__(meant) if issubclass(type(meant), str) else None
    return None


def text_of_id(value: object) -> str | None:
    """Return an id as text, None for anything but texts, integers and UUIDs."""
    text = plain_text(value)
    if text is not None:
        return text
    given = _unwrapped(value)
    if issubclass(type(given), UUID):
        return str(given)
    if issubclass(type(given), float):  # 17.0 is not an id
        return None
    number = plain_number(given)
    return str(number) if isinstance(number, int) and abs(number) < _HUGE else None


def _as_float(number: int | float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf


def _cast_int(value: object) -> int | None:
    try:
        return msgspec.convert(value, int, strict=False)
    except msgspec.ValidationError:
        return None


def _check_finite(number: float, path: str) -> None:
    if not math.isfinite(number):
        raise ConstraintError(path, "must be a finite number")


def _check_range(number: float, kind: Any, path: str) -> None:
    if kind.ge is not None and number < kind.ge:
        raise ConstraintError(path, f"must not be less than {kind.ge}")
    if kind.le is not None and number > kind.le:
        raise ConstraintError(path, f"must not be greater than {kind.le}")


def _count(number: int, unit: str) -> str:
    return f"{number} entries" if unit == "entry" else f"{number} {unit}s"
