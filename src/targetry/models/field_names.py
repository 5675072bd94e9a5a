"""Names of request fields in a mapping: those of the wire (`tntId`) and those of Python (`tnt_id`).

`NameTree` has the names of one model and, for fields that hold models, the trees of these. Values
with free keys (`parameters`, `profile_parameters`, `usage`) have no tree and are left alone.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from msgspec import Struct
from msgspec import inspect as kinds

from targetry.models.constraint import ConstraintError
from targetry.models.scalars import plain_text, shown

LONGEST_COMPARED = 100  # characters of a name that is compared with known names


class NameTree:
    """Names of a model's fields, each with the wire's name and the tree of the field's model."""

    __slots__ = ("by_name",)

    def __init__(self, kind: kinds.StructType) -> None:
        self.by_name: dict[Any, tuple[str, NameTree | None]] = {}
        for field in kind.fields:
            entry = (field.encode_name, _tree_in(field.type))
            self.by_name[field.encode_name] = self.by_name[field.name] = entry


@lru_cache(maxsize=8)
def name_tree(model: type[Struct]) -> NameTree:
    """Return the names of `model` and of all models in it."""
    kind = kinds.type_info(model)
    assert isinstance(kind, kinds.StructType)
    return NameTree(kind)


def with_wire_names(document: dict[Any, Any], tree: NameTree) -> dict[str, Any]:
    """Return a copy of a document of exactly dicts and lists, with the names of the wire.

    Raises:
        LookupError: A name is unknown or given twice; `values_by_field` reports which.
        TypeError: An object is a model, or a container of another class.
    """
    result: dict[str, Any] = {}
    by_name = tree.by_name
    for name, value in document.items():
        wire_name, inner = by_name[name]
        if wire_name in result:
            raise LookupError(wire_name)
        result[wire_name] = value if inner is None or value is None else _renamed(value, inner)
    return result


def _renamed(value: object, tree: NameTree) -> Any:
    if type(value) is dict:
        return with_wire_names(value, tree)
    if type(value) is list:
        return [_renamed(item, tree) for item in value]
    raise TypeError(type(value))


def values_by_field(items: dict[Any, Any], kind: kinds.StructType, path: str) -> dict[str, Any]:
    """Return the values of a mapping by the Python names of the fields of `kind`.

    Raises:
        ConstraintError: A name is that of no field, or a field is given twice.
    """
    fields = {name: field.name for field in kind.fields for name in (field.encode_name, field.name)}
    values: dict[str, Any] = {}
    given: dict[str, str] = {}
    for key, value in items.items():
        name = plain_text(key)
        field = None if name is None else fields.get(name)
        if name is None or field is None:
            raise ConstraintError(_path_of(path, key, name), _unknown_name(name, kind, fields))
        if field in given:
            both = f"{given[field]!r} and {name!r}" if given[field] != name else repr(name)
            raise ConstraintError(f"{path}.{field}", f"is given twice: as {both}")
        given[field], values[field] = name, value
    return values


def _tree_in(kind: kinds.Type) -> NameTree | None:
    match kind:
        case kinds.StructType():
            return NameTree(kind)
        case kinds.UnionType():
            return next((tree for one in kind.types if (tree := _tree_in(one)) is not None), None)
        case kinds.Metadata():
            return _tree_in(kind.type)
        case kinds.ListType():
            return _tree_in(kind.item_type)
    return None


def _path_of(path: str, key: object, name: str | None) -> str:
    if name is not None and name.isidentifier() and len(name) <= LONGEST_COMPARED:
        return f"{path}.{name}"
    return f"{path}[{shown(key)}]"


def _unknown_name(name: str | None, kind: kinds.StructType, known: dict[str, str]) -> str:
    reason = f"is not a field of {kind.cls.__name__}"
    if name is None or len(name) > LONGEST_COMPARED:
        return reason
    by_lower_name = {one.lower(): one for one in known}
    nearest = get_close_matches(name.lower(), by_lower_name, n=1)
    return f"{reason}; did you mean {by_lower_name[nearest[0]]!r}?" if nearest else reason
