"""JSON text: reading, and errors with the path of the wrong value."""

from __future__ import annotations

import json
import math
from typing import Any, Final, NoReturn

from targetry.models.constraint import ConstraintError
from targetry.models.scalars import type_name

_LONGEST_NAME: Final = 128  # characters of a name in a path


def parse_json(text: str | bytes, path: str) -> Any:
    """Return the value of JSON text, which can have lone surrogates.

    Raises:
        ConstraintError: The text is not JSON, or has a number that is not finite.
    """
    if not isinstance(text, str | bytes | bytearray | memoryview):
        raise ConstraintError(path, f"must be JSON text, not {type_name(text)}")
    try:
        source = text if isinstance(text, str) else bytes(text).decode()
        return json.loads(source, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        raise ConstraintError(path, "is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ConstraintError(path, f"is not UTF-8 text: {error.reason} at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise ConstraintError(path, f"is not JSON: {error.msg} at character {error.pos}") from None
    except ValueError:
        raise ConstraintError(path, "holds a number that is not finite or out of range") from None


def object_error(text: bytes, path: str) -> ConstraintError:
    """Return why msgspec does not decode text as a JSON object; it reads no lone surrogates."""
    try:
        value = parse_json(text, path)
    except ConstraintError as error:
        return error
    if not isinstance(value, dict):
        return ConstraintError(path, "must be a JSON object")
    place = path + "".join(_lone_surrogate(value) or ())
    return ConstraintError(
        place, "holds a lone surrogate, which is half of a character; replace it by U+FFFD"
    )


# Parts of a path, the last one first: only that of the fault is joined, however many there are.
_Parts = tuple[str, "_Parts | None"]


def _lone_surrogate(value: Any) -> list[str] | None:
    """Return the parts of the path of a text with a lone surrogate; of a name, of its object."""
    waiting: list[tuple[Any, _Parts | None]] = [(value, None)]
    while waiting:
        value, parts = waiting.pop()
        if isinstance(value, dict):
            if not all(map(_is_encodable, value)):
                return _joined(parts)
            waiting += [(item, (f".{name[:_LONGEST_NAME]}", parts)) for name, item in value.items()]
        elif isinstance(value, list):
            waiting += [(item, (f"[{position}]", parts)) for position, item in enumerate(value)]
        elif isinstance(value, str) and not _is_encodable(value):
            return _joined(parts)
    return None


def _joined(parts: _Parts | None) -> list[str]:
    found: list[str] = []
    while parts is not None:
        part, parts = parts
        found.append(part)
    return found[::-1]


def _is_encodable(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(digits)
    return number
