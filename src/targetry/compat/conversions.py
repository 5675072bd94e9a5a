"""Type checks and conversions of the official `target_tools.utils`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

import msgspec

EPOCH_START: Final = datetime(1970, 1, 1)  # noqa: DTZ001  naive, as the official constant


def is_string(value: object) -> bool:
    """Return whether `value` is a str."""
    return isinstance(value, str)


def is_dict(value: object) -> bool:
    """Return whether `value` is a dict."""
    return isinstance(value, dict)


def is_list(value: object) -> bool:
    """Return whether `value` is a list."""
    return isinstance(value, list)


def is_int(value: Any) -> bool:
    """Return whether `int(value)` is possible: also true for floats and for texts of digits."""
    return parse_int(value) is not None


def parse_int(value: Any) -> int | None:
    """Return `int(value)`, or None if that is impossible."""
    try:
        return int(value)
    except (ValueError, TypeError, OverflowError):
        return None


def parse_float(value: Any) -> float | None:
    """Return `float(value)`, or None if that is impossible."""
    try:
        return float(value)
    except (ValueError, TypeError, OverflowError):
        return None


def is_empty(val: object) -> bool:
    """Return whether `val` is false in a boolean context."""
    return not val


def remove_empty_values(_dict: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return a dict without the entries whose value is None."""
    return {key: value for key, value in _dict.items() if value is not None}


def flatten_list(_list: Iterable[list[Any]] | None) -> list[Any]:
    """Return the items of the inner lists in one list."""
    return [item for inner in _list or () for item in inner]


def get_value_from_object(obj: Any, key: str) -> Any:
    """Return the entry of a dict, or the attribute of another object; None if it is absent."""
    return obj.get(key) if isinstance(obj, dict) else getattr(obj, key, None)


def to_dict(obj: Any) -> Any:
    """Convert models, also inside dicts and iterables, into dicts with the names of the wire.

    Unset fields are None. An object of another class becomes a dict of its attributes.
    """
    if isinstance(obj, Enum):
        return obj.value
    if isinstance(obj, dict):
        return {key: to_dict(item) for key, item in obj.items()}
    if isinstance(obj, msgspec.Struct):
        fields = zip(obj.__struct_encode_fields__, obj.__struct_fields__, strict=True)
        return {key: to_dict(getattr(obj, name, None)) for key, name in fields}
    if isinstance(obj, Iterable) and not isinstance(obj, str):
        return [to_dict(item) for item in obj]
    return to_dict(vars(obj)) if hasattr(obj, "__dict__") else obj


def get_epoch_time(utc_datetime: datetime | None = None) -> int:
    """Return epoch seconds of a time, now by default. A time without a zone is one in UTC."""
    return get_epoch_time_milliseconds(utc_datetime) // 1000


def get_epoch_time_milliseconds(utc_datetime: datetime | None = None) -> int:
    """Return epoch milliseconds of a time, now by default. A time without a zone is one in UTC."""
    if utc_datetime is None:
        return time.time_ns() // 1_000_000
    if utc_datetime.tzinfo is None:
        utc_datetime = utc_datetime.replace(tzinfo=UTC)
    return round(utc_datetime.timestamp() * 1000)


def get_timezone_offset() -> int:
    """Return the offset of the local time from UTC in minutes, positive east of Greenwich."""
    return time.localtime().tm_gmtoff // 60
