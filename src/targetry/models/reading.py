"""Field-by-field reader of models, with the exact path of a fault.

msgspec reads the usual case in one C call. It does not name list indexes, dict keys and Python
attributes as paths do, nor accept subclasses of `str` and `dict`, tuples, or models inside dicts. A
value that it rejects is read here again, along the same annotations; a value that is rejected here,
too, is an error. The depth is that of the annotations, never that of the value, so nothing is too
deep and a cycle is just a value of the wrong type. An annotation with `extra={"reads": …}` names
the reader of its values.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import lru_cache
from typing import Any, TypeVar, cast

import msgspec
from msgspec import inspect as kinds

from targetry.models.constraint import ConstraintError
from targetry.models.containers import TooManyEntriesError, read_mapping, read_sequence
from targetry.models.field_names import values_by_field
from targetry.models.ip_address import read_ip_address
from targetry.models.scalars import (
    ReadMode,
    check_length,
    is_scalar,
    plain_scalar,
    read_bool,
    read_datetime,
    read_float,
    read_id,
    read_int,
    read_literal,
    read_text,
    read_timestamp,
    shown,
    type_name,
)

T = TypeVar("T", bound=msgspec.Struct)


def read(value: object, model: type[T], path: str, mode: ReadMode) -> T:
    """Return a new `model` from a model, or from a mapping with the names of the wire.

    It shares with `value` only free JSON (`Option.content`).

    Raises:
        ConstraintError: A field is wrong; it has the field's path.
    """
    try:
        return cast(T, _read_struct(value, kind_of(model), path, mode))
    except ConstraintError:
        raise
    except Exception as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: Exception) -> ConstraintError:
    too_long = isinstance(error, TooManyEntriesError)
    return ConstraintError(path, str(error) if too_long else f"cannot be read: {type(error).__name__}")


@lru_cache(maxsize=256)
def kind_of(model: type[msgspec.Struct]) -> kinds.StructType:
    """Return msgspec's description of a model."""
    return cast(kinds.StructType, kinds.type_info(model))


def _read(value: object, kind: kinds.Type, path: str, mode: ReadMode) -> Any:
    try:
        return _READERS[type(kind)](value, kind, path, mode)
    except ConstraintError:
        raise
    except Exception as error:  # a class of the caller's can raise anything
        raise _unreadable(path, error) from error


def _read_struct(value: object, kind: kinds.StructType, path: str, mode: ReadMode) -> Any:
    if issubclass(type(value), kind.cls):
        given = {field.name: getattr(value, field.name, None) for field in kind.fields}
    elif (items := read_mapping(value)) is None:
        raise ConstraintError(path, f"must be {kind.cls.__name__}, not {type_name(value)}")
    elif mode.either_name:
        given = values_by_field(items, kind, path)
    else:
        given = {field.name: items[field.encode_name] for field in kind.fields if field.encode_name in items}
    for field in kind.fields:
        if given.get(field.name) is not None:
            given[field.name] = _read(given[field.name], field.type, f"{path}.{field.name}", mode)
    return kind.cls(**given)


def _read_list(value: object, kind: kinds.ListType, path: str, mode: ReadMode) -> list[Any]:
    items = read_sequence(value)
    if items is None:
        raise ConstraintError(path, f"must be a list, not {type_name(value)}")
    if mode.constraints:
        check_length(items, kind, path, "item")
    return [_read_item(item, kind.item_type, f"{path}[{index}]", mode) for index, item in enumerate(items)]


def _read_item(value: object, kind: kinds.Type, path: str, mode: ReadMode) -> Any:
    if value is None:
        raise ConstraintError(path, "must not be null")
    return _read(value, kind, path, mode)


def _read_dict(value: object, kind: kinds.DictType, path: str, mode: ReadMode) -> dict[str, Any]:
    items = read_mapping(value)
    if items is None:
        raise ConstraintError(path, f"must be a mapping, not {type_name(value)}")
    if mode.constraints:
        check_length(items, kind, path, "entry")
    result = {}
    for key, item in items.items():
        place = f"{path}[{shown(key)}]"
        result[_read_name(key, kind.key_type, place, mode)] = _read(item, kind.value_type, place, mode)
    return result


def _read_name(key: object, kind: kinds.Type, path: str, mode: ReadMode) -> str:
    try:
        return read_text(key, kind, path, mode)
    except ConstraintError as error:
        raise ConstraintError(path, f"the name {error.reason}") from None


def _read_union(value: object, kind: kinds.UnionType, path: str, mode: ReadMode) -> Any:
    if value is None:  # every union here has it
        return None
    choices = [choice for choice in kind.types if not isinstance(choice, kinds.NoneType)]
    if len(choices) == 1:
        return _read(value, choices[0], path, mode)
    plain = _iso_text(value, path) if issubclass(type(value), date) else plain_scalar(value)
    choices = [choice for choice in choices if is_scalar(plain, choice)]
    if not choices:
        raise ConstraintError(path, f"must be a string, a number or a boolean, not {type_name(value)}")
    return _read(plain, choices[0], path, mode)


def _iso_text(value: Any, path: str) -> str:
    """Return the text of a date or a datetime in ISO 8601 form."""
    try:
        return str(value.isoformat())
    except Exception:  # a zone can raise anything
        reason = f"must be a time in ISO 8601 form, not {type_name(value)} with a broken zone"
        raise ConstraintError(path, reason) from None


def _read_metadata(value: object, kind: kinds.Metadata, path: str, mode: ReadMode) -> Any:
    reader = _NAMED_READERS.get((kind.extra or {}).get("reads", ""))
    if reader is None:
        return _read(value, kind.type, path, mode)
    return reader(value, kind.type, path, mode)


def _read_any(value: object, kind: kinds.AnyType, path: str, mode: ReadMode) -> Any:
    return value


_READERS: dict[type[kinds.Type], Callable[[Any, Any, str, ReadMode], Any]] = {
    kinds.StructType: _read_struct,
    kinds.ListType: _read_list,
    kinds.DictType: _read_dict,
    kinds.UnionType: _read_union,
    kinds.Metadata: _read_metadata,
    kinds.AnyType: _read_any,
    kinds.StrType: read_text,
    kinds.LiteralType: read_literal,
    kinds.IntType: read_int,
    kinds.FloatType: read_float,
    kinds.BoolType: read_bool,
    kinds.DateTimeType: read_datetime,
}

_NAMED_READERS: dict[str, Callable[[Any, Any, str, ReadMode], Any]] = {
    "id": read_id,
    "timestamp": read_timestamp,
    "ip_address": read_ip_address,
}
