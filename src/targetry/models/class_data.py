"""`attribute_map` and `openapi_types`, as the official classes have them; worked out when they are asked for."""

from __future__ import annotations

from functools import lru_cache

import msgspec
from msgspec import inspect as kinds

from .reading import kind_of


class AttributeMap:
    """Attribute → JSON key, for a class or an instance."""

    def __get__(self, instance: object, owner: type[msgspec.Struct]) -> dict[str, str]:
        return dict(zip(owner.__struct_fields__, owner.__struct_encode_fields__, strict=True))


class OpenApiTypes:
    """Attribute → type text (`list[MboxRequest]`, `dict(str, object)`), for a class or an instance."""

    def __get__(self, instance: object, owner: type[msgspec.Struct]) -> dict[str, str]:
        return dict(_types_of(owner))


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
