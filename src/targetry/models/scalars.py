"""Reading a text, number, boolean or time with the words for what is wrong with it; see `reading.py`.

Subclasses (`SafeString`, `IntEnum`, …) become the plain type, by that type's own methods and not by theirs.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, cast

import msgspec
from msgspec import inspect as kinds

from .constraint import ConstraintError

_SHOWN = 40  # characters of a wrong value or a long name that a message repeats
_HUGE = 10**_SHOWN


class Manner(msgspec.Struct, frozen=True):
    """`constraints`: lengths, ranges and enums hold. `casts`: texts and integers are converted into each other."""

    constraints: bool = False
    casts: bool = False


def read_text(value: object, kind: Any, path: str, manner: Manner) -> str:
    text = _plain_text(value)
    if text is None and manner.casts and isinstance(value, int | float):
        text = str(value)
    if text is None:
        raise ConstraintError(path, f"must be a string, not {type_name(value)}")
    if manner.constraints:
        check_length(text, kind, path, "character")
    return text


def read_literal(value: object, kind: Any, path: str, manner: Manner) -> str:
    text = read_text(value, kinds.StrType(), path, manner)
    if manner.constraints and text not in kind.values:
        raise ConstraintError(path, f"must be one of: {', '.join(kind.values)}; not {shown(text)}")
    return text


def read_int(value: object, kind: Any, path: str, manner: Manner) -> int:
    number = _plain_int(value)
    if number is None and manner.casts:
        number = _cast_int(value)
    if number is None:
        raise ConstraintError(path, f"must be an integer, not {type_name(value)}")
    if manner.constraints:
        _check_range(number, kind, path)
    return number


def read_float(value: object, kind: Any, path: str, manner: Manner) -> float:
    number = _plain_float(value)
    if number is None:
        raise ConstraintError(path, f"must be a number, not {type_name(value)}")
    if not math.isfinite(number):
        raise ConstraintError(path, "must be a finite number")
    if manner.constraints:
        _check_range(number, kind, path)
    return number


def read_bool(value: object, kind: Any, path: str, manner: Manner) -> bool:
    if value is True or value is False:
        return value
    raise ConstraintError(path, f"must be a boolean, not {type_name(value)}")


def read_datetime(value: object, kind: Any, path: str, manner: Manner) -> datetime:
    """Of a datetime or its ISO 8601 text. The zone becomes a fixed offset, for zones are code of the caller's."""
    text = _plain_text(value)
    if text is None and not issubclass(type(value), datetime):
        raise ConstraintError(path, f"must be a datetime, not {type_name(value)}")
    try:
        return datetime.fromisoformat(datetime.isoformat(cast(datetime, value)) if text is None else text)
    except Exception:  # any, from a zone
        given = f"{type_name(value)} with a broken zone" if text is None else shown(text)
        raise ConstraintError(path, f"must be a time in ISO 8601 form, not {given}") from None


def is_scalar(value: object, kind: kinds.Type) -> bool:
    """Whether `value` is of the Python type that `kind` stands for; a boolean is no integer."""
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
    return "null" if value is None else type(value).__name__


def shown(value: object) -> str:
    """`value` as a message shows it: short, and without running code of the value's own."""
    text = _plain_text(value)
    if text is None:
        is_short = type(value) in (float, bool, type(None)) or (type(value) is int and abs(value) < _HUGE)
        return repr(value) if is_short else f"<{type_name(value)}>"
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _plain_text(value: object) -> str | None:
    return str.__str__(cast(str, value)) if issubclass(type(value), str) else None


def _plain_int(value: object) -> int | None:
    if value is True or value is False or not issubclass(type(value), int):
        return None
    return int.__int__(cast(int, value))


def _plain_float(value: object) -> float | None:
    if issubclass(type(value), float):
        return float.__float__(cast(float, value))
    number = _plain_int(value)
    try:
        return None if number is None else float(number)
    except OverflowError:
        return math.inf


def _cast_int(value: object) -> int | None:
    try:
        return msgspec.convert(value, int, strict=False)
    except msgspec.ValidationError:
        return None


def _check_range(number: float, kind: Any, path: str) -> None:
    if kind.ge is not None and number < kind.ge:
        raise ConstraintError(path, f"must not be less than {kind.ge}")
    if kind.le is not None and number > kind.le:
        raise ConstraintError(path, f"must not be greater than {kind.le}")


def _count(number: int, unit: str) -> str:
    return f"{number} entries" if unit == "entry" else f"{number} {unit}s"
