"""Where an IP address is, as Target's edge tells it: in the body or the headers of an answer (spec/decisioning.md §3).

Both use the same names, so one table reads both. Values that cannot be what they should are as good as absent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from targetry.http.protocol import HttpResponse
from targetry.models.ip_address import is_ip_address

_LATITUDE: Final = "x-geo-latitude"
_LONGITUDE: Final = "x-geo-longitude"
_COUNTRY: Final = "x-geo-country-code"
_STATE: Final = "x-geo-region-code"
_CITY: Final = "x-geo-city"
_IP_ADDRESS: Final = "x-forwarded-for"


class GeoLocation(msgspec.Struct, frozen=True):
    """What a lookup found; None for what it did not."""

    latitude: float | None = None
    longitude: float | None = None
    country_code: str | None = None
    state_code: str | None = None
    city: str | None = None
    ip_address: str | None = None

    @property
    def is_known(self) -> bool:
        """Whether it says anything but the address."""
        return not (
            self.latitude is None
            and self.longitude is None
            and self.country_code is None
            and self.state_code is None
            and self.city is None
        )

    def to_context(self) -> dict[str, Any]:
        """As the event `geo_location_updated` shows it after a download: all keys, camelCase (spec/client.md §5)."""
        return {
            "ipAddress": self.ip_address,
            "latitude": self.latitude,
            "longitude": self.longitude,
            "countryCode": self.country_code,
            "stateCode": self.state_code,
            "city": self.city,
        }


def location_from_headers(headers: Mapping[str, str]) -> GeoLocation:
    """The place in an answer's headers, whose names are lower-case."""
    return _place(headers)


def location_from_response(answer: HttpResponse) -> GeoLocation:
    """The place in the JSON body of an answer, and in its headers where the body is silent."""
    return _place({**answer.headers, **_known(_json_object(answer.body))})


def _place(values: Mapping[str, Any]) -> GeoLocation:
    return GeoLocation(
        latitude=_number(values.get(_LATITUDE), 90),
        longitude=_number(values.get(_LONGITUDE), 180),
        country_code=_text(values.get(_COUNTRY)),
        state_code=_text(values.get(_STATE)),
        city=_text(values.get(_CITY)),
        ip_address=_ip_address(values.get(_IP_ADDRESS)),
    )


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name.lower(): value for name, value in values.items() if value not in (None, "")}


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _number(value: object, limit: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and abs(number) <= limit else None


def _ip_address(value: object) -> str | None:
    return value.strip() if isinstance(value, str) and is_ip_address(value) else None


def _text(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value).strip() or None
