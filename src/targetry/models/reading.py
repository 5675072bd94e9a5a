"""The patient way to read a model: field by field, with the exact path of what is wrong.

msgspec reads the usual case in one C call. It does not name list indexes, dict keys and Python attributes as we
want them, nor take subclasses of `str` and `dict`, tuples, or models inside of dicts. What it refuses is read here
again, along the same annotations; what is refused here too is an error. The depth is that of the annotations,
never that of the value, so nothing is too deep and a cycle is just a value of the wrong type.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeVar, cast

import msgspec
from msgspec import inspect as kinds

from .constraint import ConstraintError
from .scalars import (
    Manner,
    check_length,
    is_scalar,
    read_bool,
    read_datetime,
    read_float,
    read_int,
    read_literal,
    read_text,
    shown,
    type_name,
)

T = TypeVar("T", bound=msgspec.Struct)


def read(value: object, model: type[T], path: str, manner: Manner) -> T:
    """Return a new `model` with what `value` holds: a model, or a mapping with the names of the wire.

    Shares with `value` only free JSON (`Option.content`). Raises ConstraintError, and nothing else.
    """
    try:
        return cast(T, _read_struct(value, kind_of(model), path, manner))
    except ConstraintError:
        raise
    except Exception as error:  # a mapping of the caller's own making may raise anything
        raise ConstraintError(path, f"cannot be read: {type(error).__name__}") from error


@lru_cache(maxsize=256)
def kind_of(model: type[msgspec.Struct]) -> kinds.StructType:
    return cast(kinds.StructType, kinds.type_info(model))


def _read(value: object, kind: kinds.Type, path: str, manner: Manner) -> Any:
    return _READERS[type(kind)](value, kind, path, manner)


def _read_struct(value: object, kind: kinds.StructType, path: str, manner: Manner) -> Any:
    if issubclass(type(value), kind.cls):
        given = {field.name: getattr(value, field.name, None) for field in kind.fields}
    elif (items := _mapping_of(value)) is not None:
        given = {field.name: items[field.encode_name] for field in kind.fields if field.encode_name in items}
    else:
        raise ConstraintError(path, f"must be {kind.cls.__name__}, not {type_name(value)}")
    for field in kind.fields:
        if given.get(field.name) is not None:
            given[field.name] = _read(given[field.name], field.type, f"{path}.{field.name}", manner)
    return kind.cls(**given)


def _read_list(value: object, kind: kinds.ListType, path: str, manner: Manner) -> list[Any]:
    items = _items_of(value)
    if items is None:
        raise ConstraintError(path, f"must be a list, not {type_name(value)}")
    if manner.constraints:
        check_length(items, kind, path, "item")
    return [_read_item(item, kind.item_type, f"{path}[{index}]", manner) for index, item in enumerate(items)]


def _read_item(value: object, kind: kinds.Type, path: str, manner: Manner) -> Any:
    if value is None:
        raise ConstraintError(path, "must not be null")
    return _read(value, kind, path, manner)


def _read_dict(value: object, kind: kinds.DictType, path: str, manner: Manner) -> dict[str, Any]:
    items = _mapping_of(value)
    if items is None:
        raise ConstraintError(path, f"must be a mapping, not {type_name(value)}")
    if manner.constraints:
        check_length(items, kind, path, "entry")
    result = {}
    for key, item in items.items():
        place = f"{path}[{shown(key)}]"
        result[_read_name(key, kind.key_type, place, manner)] = _read(item, kind.value_type, place, manner)
    return result


def _read_name(key: object, kind: kinds.Type, path: str, manner: Manner) -> str:
    try:
        return read_text(key, kind, path, manner)
    except ConstraintError as error:
        raise ConstraintError(path, f"the name {error.reason}") from None


def _read_union(value: object, kind: kinds.UnionType, path: str, manner: Manner) -> Any:
    if value is None:  # every union of ours has it
        return None
    choices = [choice for choice in kind.types if not isinstance(choice, kinds.NoneType)]
    if len(choices) > 1:
        choices = [choice for choice in choices if is_scalar(value, choice)]
    if not choices:
        raise ConstraintError(path, f"must be a string, a number or a boolean, not {type_name(value)}")
    return _read(value, choices[0], path, manner)


def _read_metadata(value: object, kind: kinds.Metadata, path: str, manner: Manner) -> Any:
    if not (kind.extra or {}).get("loose"):
        return _read(value, kind.type, path, manner)
    choices = [choice for choice in cast(kinds.UnionType, kind.type).types if is_scalar(value, choice)]
    # Of a value that is no scalar, only that it is wrong must reach the one who drops it.
    if not choices or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return _read(value, choices[0], path, manner)


def _read_any(value: object, kind: kinds.AnyType, path: str, manner: Manner) -> Any:
    return value


def _items_of(value: object) -> list[Any] | None:
    for sequence in (list, tuple):
        if issubclass(type(value), sequence):
            return list(sequence.__iter__(cast(Any, value)))  # in order, however a subclass iterates
    return None


def _mapping_of(value: object) -> Mapping[Any, Any] | None:
    if issubclass(type(value), dict):
        return dict(dict.items(cast(dict[Any, Any], value)))
    if isinstance(value, Mapping):
        return {key: value[key] for key in cast(Iterable[Any], value)}
    return None


_READERS: dict[type[kinds.Type], Callable[[Any, Any, str, Manner], Any]] = {
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
