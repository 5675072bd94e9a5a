"""Coercion of decoded request bodies to the types of the models, as tolerant as Adobe's service.

SDKs of other languages, at.js and forms send numbers as text, ids as numbers, one object in place
of a list, and empty objects and texts. `coerce` converts such a body by the annotations of the
models; a strict check of lengths, ranges and required fields follows. An invalid scalar becomes
null, and its field is reported. Essential fields (`_ESSENTIAL`) and objects in place of scalars
stay unchanged, so that the strict check rejects them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, cast

from msgspec import inspect as kinds

from targetry.models import DeliveryRequest, MboxRequest, MetricType, Notification, Order
from targetry.models.reading import kind_of

_INTEGER: Final = re.compile(r"[+-]?\d{1,19}(?:\.0*)?", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_LONGEST_NUMBER: Final = 64  # characters
_BOOLEANS: Final = {"true": True, "?1": True, "1": True, "false": False, "?0": False, "0": False}
_INT64: Final = 2**63

# Fields that a request cannot do without; an invalid value is an error.
_ESSENTIAL: Final = frozenset(
    {
        (Order, "total"),
        (MboxRequest, "index"),
        (Notification, "id"),
        (Notification, "type"),
        (Notification, "timestamp"),
    }
)
_METRIC_TYPE: Final = kinds.LiteralType(tuple(member.value for member in MetricType))
_INVALID: Final = object()


def coerce(document: dict[str, Any], ignored: list[str]) -> dict[str, Any]:
    """Return a copy of a request's decoded body with each value in the type of its field.

    Args:
        document: The decoded body; it stays unchanged.
        ignored: Receives the paths of fields with invalid values, without list indexes.
    """
    return cast("dict[str, Any]", _Coercer(ignored).value(document, kind_of(DeliveryRequest), ""))


class _Coercer:
    def __init__(self, ignored: list[str]) -> None:
        self._ignored = ignored

    def value(self, value: Any, kind: kinds.Type, path: str) -> Any:
        """Return the value in the type of `kind`; None if it is invalid."""
        if value is None:
            return None
        kind = _plain(kind, value)
        if isinstance(kind, kinds.StructType):
            return self._struct(value, kind, path)
        if isinstance(kind, kinds.ListType):
            return self._list(value, kind, path)
        if isinstance(kind, kinds.DictType):
            return self._dict(value, kind, path)
        coerced = _scalar(value, kind)
        if coerced is _INVALID:
            self._ignored.append(path)
            return None
        return coerced

    def _struct(self, value: Any, kind: kinds.StructType, path: str) -> Any:
        if value in ("", []):  # PHP's empty object is an empty list
            return None
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if not isinstance(value, dict):
            return value
        coerced = {}
        for field in kind.fields:
            name = field.encode_name
            if name in value:
                field_path = f"{path}.{name}" if path else name
                before = len(self._ignored)
                coerced[name] = self.value(value[name], field.type, field_path)
                if len(self._ignored) > before and (kind.cls, field.name) in _ESSENTIAL:
                    del self._ignored[before:]
                    coerced[name] = value[name]
        return coerced

    def _list(self, value: Any, kind: kinds.ListType, path: str) -> list[Any] | None:
        if value == "":
            return None
        items = value if isinstance(value, list) else [value]
        if None in items:
            self._ignored.append(path)
        return [self.value(item, kind.item_type, path) for item in items if item is not None]

    def _dict(self, value: Any, kind: kinds.DictType, path: str) -> Any:
        if value in ("", []):
            return None
        if not isinstance(value, dict):
            return value
        return {name: self.value(item, kind.value_type, path) for name, item in value.items()}


def _plain(kind: kinds.Type, value: Any) -> kinds.Type:
    """Return the type to convert to, without annotations and null; of several the value's own."""
    while isinstance(kind, kinds.Metadata):
        # The model accepts any text as a notification's type, because the SDK drops others later.
        kind = _METRIC_TYPE if (kind.extra or {}).get("type") == "MetricType" else kind.type
    if not isinstance(kind, kinds.UnionType):
        return kind
    choices = [one for one in kind.types if not isinstance(one, kinds.NoneType)]
    if len(choices) == 1:
        return _plain(choices[0], value)
    return kinds.StrType() if _is_huge(value) else kinds.AnyType()


def _is_huge(value: Any) -> bool:
    """Return whether a parameter is an integer of more than 64 bits."""
    return type(value) is int and not -_INT64 <= value < _INT64


def _scalar(value: Any, kind: kinds.Type) -> Any:
    if isinstance(value, list) and len(value) <= 1:
        value = value[0] if value else None
    if value is None or isinstance(value, list | dict):
        return value
    reader = _READERS.get(type(kind))
    return value if reader is None else reader(value, kind)


def _text(value: Any, kind: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value if isinstance(value, str) else str(value)
    return None if not text and kind.min_length else text


def _word(value: Any, kind: Any) -> Any:
    """Return the matching word of an enumeration, in any case, with `-` or `_`."""
    text = value.strip() if isinstance(value, str) else str(value)
    if not text:
        return None
    same = (word for word in kind.values if word.replace("-", "_") == text.lower().replace("-", "_"))
    return next(same, _INVALID)


def _integer(value: Any, kind: Any) -> Any:
    if isinstance(value, bool):
        return _INVALID
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        return int(text.partition(".")[0]) if _INTEGER.fullmatch(text) else _INVALID
    return int(value) if math.isfinite(value) else _INVALID


def _number(value: Any, kind: Any) -> Any:
    if isinstance(value, bool):
        return _INVALID
    if not isinstance(value, str):
        return value
    text = value.strip()
    if not text:
        return None
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        return _INVALID
    return float(text) if math.isfinite(float(text)) else _INVALID


def _boolean(value: Any, kind: Any) -> Any:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    return _BOOLEANS.get(text, _INVALID) if text else None


def _time(value: Any, kind: Any) -> Any:
    """Return a time given in ISO 8601, with or without a zone, or in epoch milliseconds."""
    if isinstance(value, bool):
        return _INVALID
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value / 1000, UTC).isoformat()
        text = value.strip()
        return datetime.fromisoformat(text).isoformat() if text else None
    except (ValueError, OverflowError, OSError):
        return _INVALID


_READERS: Final[dict[type[kinds.Type], Callable[[Any, Any], Any]]] = {
    kinds.StrType: _text,
    kinds.LiteralType: _word,
    kinds.IntType: _integer,
    kinds.FloatType: _number,
    kinds.BoolType: _boolean,
    kinds.DateTimeType: _time,
}
