"""Models as plain Python and as JSON text.

msgspec writes JSON in one C call, but `null` for NaN, and for a field that is None where the default is not
(`Context.beacon`). So a text with a `null` in it, and what msgspec refuses, is written again here with more care.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import date
from enum import Enum
from typing import Any

import msgspec

from .constraint import ConstraintError, root_of
from .scalars import shown, type_name


def plain(value: Any) -> Any:
    """`value` with models as dicts of their attributes, None included, and enum members as their values."""
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name, None)) for name in value.__struct_fields__}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    return value.value if isinstance(value, Enum) else value


def json_bytes(model: msgspec.Struct) -> bytes:
    """Return the JSON text of `model` in UTF-8, with ConstraintError where JSON cannot say what it holds."""
    try:
        text = msgspec.json.encode(model)
        if b"null" not in text:
            return text
    except Exception:  # whatever it is, the careful way finds its place
        pass
    return _write_carefully(model, root_of(type(model))).encode()


def _write_carefully(model: msgspec.Struct, path: str) -> str:
    try:
        # Escaped, since a lone surrogate has no UTF-8.
        return json.dumps(_tree(model, path), separators=(",", ":"))
    except RecursionError:
        raise ConstraintError(path, "is nested too deeply, or holds itself") from None
    except ConstraintError:
        raise
    except Exception as error:  # values of the caller's own making may raise anything
        raise ConstraintError(path, f"cannot be written as JSON: {type(error).__name__}") from error


def _tree(value: Any, path: str) -> Any:
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        raise ConstraintError(path, "must be a finite number")
    if isinstance(value, date):  # a datetime is a date
        return value.isoformat()
    return _branch(value, path)


def _branch(value: Any, path: str) -> Any:
    if isinstance(value, msgspec.Struct):
        fields = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
        given = ((key, name, getattr(value, name, None)) for name, key in fields)
        return {key: _tree(item, f"{path}.{name}") for key, name, item in given if item is not None}
    if isinstance(value, Mapping):
        return {_key(key, path): _tree(item, f"{path}[{shown(key)}]") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_tree(item, f"{path}[{index}]") for index, item in enumerate(value)]
    raise ConstraintError(path, f"cannot be written as JSON: {type_name(value)}")


def _key(key: Any, path: str) -> str:
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, int) and not isinstance(key, bool):
        return str(key)
    raise ConstraintError(f"{path}[{shown(key)}]", f"the name must be a string, not {type_name(key)}")
