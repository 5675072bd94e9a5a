"""Writers of models as plain Python and as JSON text.

msgspec writes JSON in one C call, but `null` for NaN, and for a field that is None and has another
default (`Context.beacon`). So a text with a `null` in it, and a model that msgspec rejects, is
written again here with more care.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from enum import Enum
from typing import Any

import msgspec

from targetry.models.constraint import ConstraintError, root_of
from targetry.models.containers import holds_plain_values, read_mapping, read_sequence
from targetry.models.scalars import plain_scalar, shown, type_name


def plain(model: msgspec.Struct) -> dict[str, Any]:
    """Return the attributes of a model, with models in it as dicts and enum members as values."""
    with _translated(model, "read"):
        return _plain_model(model)


def pretty_text(model: msgspec.Struct) -> str:
    """Return `plain` of a model as readable text."""
    from pprint import pformat  # costs a millisecond to import

    with _translated(model, "shown"):
        return pformat(_plain_model(model))


def _plain_model(model: msgspec.Struct) -> dict[str, Any]:
    return {name: _plain(getattr(model, name, None)) for name in model.__struct_fields__}


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return _plain_model(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    return value.value if isinstance(value, Enum) else value


@contextmanager
def _translated(model: msgspec.Struct, done: str) -> Iterator[None]:
    """Translate any exception of a caller's values; `done` is the failed operation."""
    path = root_of(type(model))
    try:
        yield
    except ConstraintError:
        raise
    except RecursionError:
        raise ConstraintError(path, "is nested too deeply, or holds itself") from None
    except Exception as error:
        raise ConstraintError(path, f"cannot be {done}: {type(error).__name__}") from error


def json_bytes(model: msgspec.Struct) -> bytes:
    """Return the JSON text of a model in UTF-8. Raises ConstraintError."""
    try:
        text = msgspec.json.encode(model)
        if b"null" not in text:
            return text
    except Exception:  # `_write_carefully` finds the path of any fault
        pass
    return _write_carefully(model).encode()


def json_text(model: msgspec.Struct) -> str:
    """Return the JSON text of any model, also of an unchecked one. Raises ConstraintError."""
    try:
        if holds_plain_values(model):
            return json_bytes(model).decode()
    except RecursionError:  # `_write_carefully` finds the path
        pass
    return _write_carefully(model)


def _write_carefully(model: msgspec.Struct) -> str:
    with _translated(model, "written as JSON"):
        # Escaped, since a lone surrogate has no UTF-8.
        tree = _tree(model, root_of(type(model)), is_response=getattr(model, "_is_response", False))
        return json.dumps(tree, separators=(",", ":"))


def _tree(value: Any, path: str, *, is_response: bool) -> Any:
    if value is None or isinstance(value, msgspec.Struct):
        return None if value is None else _branch(value, path, is_response)
    if isinstance(value, date):  # a datetime is a date
        return value.isoformat()
    scalar = plain_scalar(value)
    if isinstance(scalar, float) and not math.isfinite(scalar):
        if is_response and math.isinf(scalar):  # as JavaScript does
            return None
        raise ConstraintError(path, "must be a finite number")
    return _branch(value, path, is_response) if scalar is None else scalar


def _branch(value: Any, path: str, is_response: bool) -> Any:
    tree = functools.partial(_tree, is_response=is_response)
    if isinstance(value, msgspec.Struct):
        fields = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
        given = ((key, name, getattr(value, name, None)) for name, key in fields)
        return {key: tree(item, f"{path}.{name}") for key, name, item in given if item is not None}
    if (entries := read_mapping(value)) is not None:
        return {_key(key, path): tree(item, f"{path}[{shown(key)}]") for key, item in entries.items()}
    if (items := read_sequence(value)) is not None:
        return [tree(item, f"{path}[{index}]") for index, item in enumerate(items)]
    raise ConstraintError(path, f"cannot be written as JSON: {type_name(value)}")


def _key(key: Any, path: str) -> str:
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, int) and not isinstance(key, bool):
        return str(key)
    raise ConstraintError(f"{path}[{shown(key)}]", f"the name must be a string, not {type_name(key)}")
