"""Small conversions of the official `target_tools.utils`."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import msgspec


def to_dict(obj: Any) -> Any:
    """`obj` with models, also in lists and dicts, as dicts of the wire's names; unset fields are None."""
    if isinstance(obj, msgspec.Struct):
        fields = zip(obj.__struct_encode_fields__, obj.__struct_fields__, strict=True)
        return {key: to_dict(getattr(obj, name, None)) for key, name in fields}
    if isinstance(obj, list | tuple):
        return [to_dict(item) for item in obj]
    if isinstance(obj, dict):
        return {key: to_dict(item) for key, item in obj.items()}
    return obj.value if isinstance(obj, Enum) else obj


def get_epoch_time(utc_datetime: datetime | None = None) -> int:
    """Whole seconds since 1970 of a time, now by default. A time without a zone is one in UTC."""
    return get_epoch_time_milliseconds(utc_datetime) // 1000


def get_epoch_time_milliseconds(utc_datetime: datetime | None = None) -> int:
    """Milliseconds since 1970 of a time, now by default. A time without a zone is one in UTC."""
    if utc_datetime is None:
        return time.time_ns() // 1_000_000
    if utc_datetime.tzinfo is None:
        utc_datetime = utc_datetime.replace(tzinfo=UTC)
    return round(utc_datetime.timestamp() * 1000)
