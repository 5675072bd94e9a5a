"""Shapes of the files: every difference between a value and a struct of the model."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import inspect

from targetry.activities.expressions.scanner import LONE_SURROGATE
from targetry.activities.model.yaml_values import join_path


class ShapeError(NamedTuple):
    """A difference from the expected shape.

    With `is_key`, the key at `path` is wrong. The subject of a message that starts with a verb is
    the value at `path`.
    """

    path: str
    message: str
    hint: str | None = None
    is_key: bool = False


def shape_errors(value: Any, struct: type[msgspec.Struct], path: str = "") -> Iterator[ShapeError]:
    """Yield what makes a value no `struct`: unknown and missing keys, wrong types, wrong values."""
    return _errors(value, _type_info(struct), path)


@cache
def _type_info(type: Any) -> inspect.Type:
    return inspect.type_info(type)


def _errors(value: Any, kind: inspect.Type, path: str) -> Iterator[ShapeError]:
    if isinstance(kind, inspect.Metadata):
        examples = (kind.extra_json_schema or {}).get("examples")
        for error in _errors(value, kind.type, path):
            yield error if not examples else error._replace(hint=f"write it like {examples[0]}")
    elif isinstance(kind, inspect.StructType):
        yield from _struct_errors(value, kind, path)
    elif isinstance(kind, inspect.UnionType):
        yield from _union_errors(value, kind, path)
    elif isinstance(kind, inspect.ListType):
        yield from _list_errors(value, kind, path)
    elif isinstance(kind, inspect.TupleType):
        yield from _tuple_errors(value, kind, path)
    elif isinstance(kind, inspect.DictType):
        yield from _dict_errors(value, kind, path)
    elif isinstance(kind, inspect.LiteralType):
        if not any(type(one) is type(value) and one == value for one in kind.values):
            yield _wrong_choice(value, [str(one) for one in kind.values], path)
    elif isinstance(kind, inspect.AnyType):
        yield from _json_errors(value, path)
    else:
        yield from _scalar_errors(value, kind, path)


def _struct_errors(value: Any, kind: inspect.StructType, path: str) -> Iterator[ShapeError]:
    if not isinstance(value, dict):
        yield ShapeError(path, f"expected a map, got {_name(value)}")
        return
    fields = {field.encode_name: field for field in kind.fields}
    for key in value.keys() - fields.keys():
        yield ShapeError(
            join_path(path, key),
            f"unknown key {key!r}",
            did_you_mean(key, fields.keys() - value.keys()),
            True,
        )
    for name, field in fields.items():
        if name in value:
            yield from _errors(value[name], field.type, join_path(path, name))
        elif field.required:
            yield ShapeError(path, f"the key {name!r} is missing")


def _union_errors(value: Any, kind: inspect.UnionType, path: str) -> Iterator[ShapeError]:
    kinds = [one for one in kind.types if not isinstance(one, inspect.CustomType)]
    found = [list(_errors(value, one, path)) for one in kinds]
    if all(found):
        # The kind of the value's own type says most: its errors are within the value.
        own = [errors for one, errors in zip(kinds, found, strict=True) if _is_of(value, one)]
        yield from own[0] if own else [ShapeError(path, f"expected {_names(kinds)}, got {_name(value)}")]


def _list_errors(value: Any, kind: inspect.ListType, path: str) -> Iterator[ShapeError]:
    if not isinstance(value, list):
        yield ShapeError(path, f"expected a list, got {_name(value)}")
        return
    if kind.min_length is not None and len(value) < kind.min_length:
        yield ShapeError(path, "the list is empty")
    for index, one in enumerate(value):
        yield from _errors(one, kind.item_type, join_path(path, index))


def _tuple_errors(value: Any, kind: inspect.TupleType, path: str) -> Iterator[ShapeError]:
    if not isinstance(value, list) or len(value) != len(kind.item_types):
        yield ShapeError(path, f"expected a list of {len(kind.item_types)} values, got {_name(value)}")
        return
    for index, (one, item) in enumerate(zip(value, kind.item_types, strict=True)):
        yield from _errors(one, item, join_path(path, index))


def _dict_errors(value: Any, kind: inspect.DictType, path: str) -> Iterator[ShapeError]:
    if not isinstance(value, dict):
        yield ShapeError(path, f"expected a map, got {_name(value)}")
        return
    for key, one in value.items():
        for error in _errors(key, kind.key_type, join_path(path, key)):
            yield error._replace(is_key=True)
        yield from _errors(one, kind.value_type, join_path(path, key))


def _scalar_errors(value: Any, kind: inspect.Type, path: str) -> Iterator[ShapeError]:
    if not _is_of(value, kind):
        yield ShapeError(path, f"expected {_names([kind])}, got {_name(value)}", _quoted(value, kind))
    elif isinstance(kind, (inspect.IntType, inspect.FloatType)):
        if kind.ge is not None and value < kind.ge:
            yield ShapeError(path, f"must be at least {kind.ge}, not {value}")
        if kind.gt is not None and not value > kind.gt:
            yield ShapeError(path, f"must be above {kind.gt}, not {value}")
        if kind.le is not None and value > kind.le:
            yield ShapeError(path, f"must be at most {kind.le}, not {value}")
    elif isinstance(kind, inspect.StrType):
        if kind.min_length is not None and len(value) < kind.min_length:
            yield ShapeError(path, "the text is empty")
        if kind.max_length is not None and len(value) > kind.max_length:
            yield ShapeError(path, f"the text is longer than {kind.max_length} characters")
        if kind.pattern is not None and re.search(kind.pattern, value) is None:
            yield ShapeError(path, f"{value!r} is not allowed here", f"expected {kind.pattern}")
        yield from _surrogate_errors(value, path)


def _json_errors(value: Any, path: str) -> Iterator[ShapeError]:
    """Yield what JSON cannot have; only the builder in Python can be given that."""
    if isinstance(value, str):
        yield from _surrogate_errors(value, path)
    elif isinstance(value, dict):
        for key, one in value.items():
            inner = join_path(path, str(key))
            if not isinstance(key, str):
                yield ShapeError(inner, f"expected text as a key, got {_name(key)}", None, True)
            yield from (error._replace(is_key=True) for error in _surrogate_errors(str(key), inner))
            yield from _json_errors(one, inner)
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _json_errors(one, join_path(path, index))
    elif isinstance(value, float) and not math.isfinite(value):
        yield ShapeError(path, f"JSON has no number {value}")
    elif value is not None and not isinstance(value, (bool, int, float)):
        yield ShapeError(path, f"expected a JSON value, got {_name(value)}")


def _surrogate_errors(text: str, path: str) -> Iterator[ShapeError]:
    if LONE_SURROGATE.search(text):
        yield ShapeError(path, "the text has half of a surrogate pair")


def _quoted(value: Any, kind: inspect.Type) -> str | None:
    is_scalar = value is not None and not isinstance(value, (dict, list))
    return "write it in quotes" if isinstance(kind, inspect.StrType) and is_scalar else None


def _wrong_choice(value: Any, choices: list[str], path: str) -> ShapeError:
    hint = did_you_mean(value, choices) if isinstance(value, str) else None
    shown = repr(value) if isinstance(value, str) else _name(value)
    return ShapeError(path, f"{shown} is none of {', '.join(choices)}", hint)


def did_you_mean(name: str, choices: Any) -> str | None:
    """Return a hint with the closest of the names, None if none is close."""
    close = difflib.get_close_matches(name, sorted(choices), 1)
    return f"did you mean {close[0]!r}?" if close else None


_PYTHON_TYPES: Final[dict[type[inspect.Type], tuple[type, ...]]] = {
    inspect.StrType: (str,),
    inspect.IntType: (int,),
    inspect.FloatType: (int, float),
    inspect.BoolType: (bool,),
    inspect.NoneType: (type(None),),
    inspect.ListType: (list,),
    inspect.TupleType: (list,),
    inspect.DictType: (dict,),
    inspect.StructType: (dict,),
}


def _is_of(value: Any, kind: inspect.Type) -> bool:
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.AnyType):
        return True
    if isinstance(kind, inspect.LiteralType):
        return any(type(one) is type(value) for one in kind.values)
    if isinstance(value, bool) and not isinstance(kind, inspect.BoolType):
        return False
    return isinstance(value, _PYTHON_TYPES.get(type(kind), ()))


_NAMES: Final[dict[type[inspect.Type], str]] = {
    inspect.StrType: "text",
    inspect.IntType: "an integer",
    inspect.FloatType: "a number",
    inspect.BoolType: "true or false",
    inspect.NoneType: "null",
    inspect.ListType: "a list",
    inspect.TupleType: "a list",
    inspect.DictType: "a map",
    inspect.StructType: "a map",
}


def _names(kinds: list[inspect.Type]) -> str:
    names: list[str] = []
    for kind in kinds:
        while isinstance(kind, inspect.Metadata):
            kind = kind.type
        if isinstance(kind, inspect.LiteralType):
            names += map(str, kind.values)
        else:
            names.append(_NAMES.get(type(kind), "another value"))
    return " or ".join(dict.fromkeys(names))


def _name(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "text"
    if value is None:
        return "null"
    if isinstance(value, (dict, list)):
        return f"a {'map' if isinstance(value, dict) else f'list of {len(value)}'}"
    if isinstance(value, (int, float)):
        return f"the number {value}" if abs(value) < 10**20 else "a number"
    return f"a value of type {type(value).__name__}"
