"""Types of request fields that accept more types than they are read as.

A type checker sees a descriptor: `Notification.timestamp` accepts a datetime and is read as an
integer. At run time the field has msgspec's annotation of the type that is read, and
`extra={"reads": ...}` names the reader in `reading.py` that converts the others when a request is
checked.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

from msgspec import Meta

from targetry.models.constraint import MAX_ID_LENGTH

ABSENT: Final[Any] = None
"""Default of these fields."""

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal
    from fractions import Fraction
    from ipaddress import IPv4Address, IPv6Address
    from typing import Generic, Self, SupportsFloat, SupportsIndex, TypeAlias, TypeVar, overload
    from uuid import UUID

    Read = TypeVar("Read")
    Given = TypeVar("Given")

    class _Field(Generic[Read, Given]):
        @overload
        def __get__(self, model: None, owner: type) -> Self: ...
        @overload
        def __get__(self, model: object, owner: type) -> Read | None: ...
        def __get__(self, model: object | None, owner: type) -> Self | Read | None:
            raise NotImplementedError

        def __set__(self, model: object, value: Given | None) -> None: ...

    Id: TypeAlias = _Field[str, str | int | UUID]
    Id128: TypeAlias = Id
    Id200: TypeAlias = Id
    Id250: TypeAlias = Id
    Ids: TypeAlias = _Field[list[str], Sequence[str | int | UUID]]
    IpAddress: TypeAlias = _Field[str, str | bytes | IPv4Address | IPv6Address | Sequence[Any]]
    Timestamp: TypeAlias = _Field[int, float | Decimal | Fraction | SupportsIndex | datetime]
    Integer32: TypeAlias = _Field[int, SupportsIndex]
    Integer64: TypeAlias = _Field[int, SupportsIndex]
    Ordinal: TypeAlias = _Field[int, SupportsIndex]
    LocalId: TypeAlias = _Field[int, SupportsIndex]
    Number: TypeAlias = _Field[float, SupportsFloat]
    NonNegative: TypeAlias = _Field[float, SupportsFloat]
else:
    _ID = {"reads": "id"}
    Id = Annotated[str, Meta(extra=_ID)] | None
    Id128 = Annotated[str, Meta(max_length=MAX_ID_LENGTH, extra=_ID)] | None
    Id200 = Annotated[str, Meta(max_length=200, extra=_ID)] | None
    Id250 = Annotated[str, Meta(max_length=250, extra=_ID)] | None
    Ids = list[Annotated[str, Meta(extra=_ID)]] | None
    IpAddress = Annotated[str, Meta(extra={"reads": "ip_address"})] | None
    Timestamp = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1, extra={"reads": "timestamp"})] | None
    Integer32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)] | None
    Integer64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None
    Ordinal = Annotated[int, Meta(ge=1, le=2**63 - 1)] | None
    LocalId = Annotated[int, Meta(ge=0, le=2**31 - 1)] | None
    # JSON has no NaN and no infinity; a range is the one check of msgspec that refuses both.
    Number = Annotated[float, Meta(ge=-sys.float_info.max, le=sys.float_info.max)] | None
    NonNegative = Annotated[float, Meta(ge=0, le=sys.float_info.max)] | None
