"""Value of a flag: the content of an offer, converted to the type that a caller requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from targetry.device.logic.javascript import MAX_EXACT_INTEGER, UNDEFINED
from targetry.flags.errors import FlagError
from targetry.flags.key import FlagKey
from targetry.models.scalars import shown

FlagType = Literal["boolean", "integer", "float", "string", "dict", "list", "object"]
"""`object` is a dict or a list, as in OpenFeature."""

EXACT_TYPES: Final[dict[FlagType, type | None]] = {
    "boolean": bool,
    "integer": int,
    "float": float,
    "string": str,
    "dict": dict,
    "list": list,
    "object": None,
}
"""The type of values that need no conversion."""


def value_at(content: Any, key: FlagKey) -> Any:
    """Return the attribute of an offer's content that a key names.

    Raises:
        FlagError: `FLAG_NOT_FOUND` if the content does not have the attribute.
    """
    value = content
    for name in key.path:
        if not isinstance(value, Mapping) or name not in value:
            attribute = ".".join(key.path)
            raise FlagError(
                "FLAG_NOT_FOUND", f"the offer of mbox {shown(key.mbox)} has no attribute {shown(attribute)}"
            )
        value = value[name]
    return value


def type_of(default: object) -> FlagType | None:
    """Return the type of a default value; None for a value that no flag can have."""
    if (name := name_of_class(type(default))) is not None:
        return name
    for kind, name in _TYPES:
        if isinstance(default, kind):
            return name
    return None


def as_type(value: Any, wanted: FlagType) -> Any:
    """Return the value in the requested type.

    Raises:
        FlagError: `TYPE_MISMATCH` if the value is of another type.
    """
    converted = _CONVERTERS[wanted](value)
    if converted is UNDEFINED:
        raise FlagError(
            "TYPE_MISMATCH", f"the value is of type {_NAMES.get(type(value), 'null')}, not {wanted}"
        )
    return converted


def _integer(value: Any) -> Any:
    if type(value) is int:
        return value
    if type(value) is float and value.is_integer() and abs(value) <= MAX_EXACT_INTEGER:
        return int(value)
    return UNDEFINED


def _float(value: Any) -> Any:
    if type(value) is float:
        return value
    if type(value) is not int:
        return UNDEFINED
    try:
        number = float(value)
    except OverflowError:
        return UNDEFINED
    return number if number == value else UNDEFINED


_TYPES: Final[tuple[tuple[type, FlagType], ...]] = (
    (int, "integer"),
    (float, "float"),
    (str, "string"),
    (dict, "dict"),
    (list, "list"),
)
_NAMES_BY_CLASS: Final = dict[type, FlagType](((bool, "boolean"), *_TYPES))
name_of_class: Final = _NAMES_BY_CLASS.get
"""Returns the type of values of exactly this class; None for another class."""

_CONVERTERS: Final[dict[FlagType, Callable[[Any], Any]]] = {
    "boolean": lambda value: value if type(value) is bool else UNDEFINED,
    "integer": _integer,
    "float": _float,
    "string": lambda value: value if type(value) is str else UNDEFINED,
    "dict": lambda value: value if type(value) is dict else UNDEFINED,
    "list": lambda value: value if type(value) is list else UNDEFINED,
    "object": lambda value: value if type(value) in (dict, list) else UNDEFINED,
}
_NAMES: Final = {
    bool: "boolean",
    int: "integer",
    float: "float",
    str: "string",
    dict: "object",
    list: "object",
}
