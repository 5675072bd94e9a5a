"""`attribute_map`, `openapi_types` and `vars()` of the official classes, computed on access."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from msgspec import inspect as kinds

from targetry.models.reading import kind_of


class AttributeMap:
    """Map of attributes to JSON keys, for a class or an instance."""

    def __get__(self, instance: object, owner: type[msgspec.Struct]) -> dict[str, str]:
        return dict(zip(owner.__struct_fields__, owner.__struct_encode_fields__, strict=True))


class OpenApiTypes:
    """Map of attributes to type texts (`list[MboxRequest]`), for a class or an instance."""

    def __get__(self, instance: object, owner: type[msgspec.Struct]) -> dict[str, str]:
        return dict(_types_of(owner))


def attributes_of(model: msgspec.Struct) -> dict[str, Any]:
    """Return the values of a model under the private names of the official classes.

    This is `vars(model)`. The models have slots, so it costs an instance nothing, and a change of
    the dict changes no model.
    """
    owner = type(model).__name__
    values: dict[str, Any] = {
        f"_{owner}_{name}" if name.startswith("_") else f"_{name}": getattr(model, name, None)
        for name in model.__struct_fields__
    }
    values["discriminator"] = None
    return values


@lru_cache(maxsize=256)
def _types_of(model: type[msgspec.Struct]) -> dict[str, str]:
    return {field.name: _text(field.type) for field in kind_of(model).fields}


def _text(kind: kinds.Type) -> str:
    match kind:
        case kinds.UnionType():
            return _text(kind.types[0])  # X | None
        case kinds.Metadata(extra={"type": str(name)}):
            return name
        case kinds.Metadata():
            return _text(kind.type)
        case kinds.StructType():
            return kind.cls.__name__
        case kinds.ListType():
            return f"list[{_text(kind.item_type)}]"
        case kinds.DictType():
            return f"dict({_text(kind.key_type)}, {_text(kind.value_type)})"
    return _NAMES[type(kind)]


_NAMES: dict[type[kinds.Type], str] = {
    kinds.StrType: "str",
    kinds.IntType: "int",
    kinds.FloatType: "float",
    kinds.BoolType: "bool",
    kinds.DateTimeType: "datetime",
    kinds.AnyType: "object",
}
