"""Location of an IP address, as Target's edge sends it in the body or the headers of a response.

Both use the same names. Values that are not of the expected form count as absent.
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
    """The result of a lookup; fields that are not known are None."""

    latitude: float | None = None
    longitude: float | None = None
    country_code: str | None = None
    state_code: str | None = None
    city: str | None = None
    ip_address: str | None = None

    @property
    def is_known(self) -> bool:
        """Whether any field but the address is set."""
        return not (
            self.latitude is None
            and self.longitude is None
            and self.country_code is None
            and self.state_code is None
            and self.city is None
        )

    def to_context(self) -> dict[str, Any]:
        """Return all fields in camelCase, as the event `geo_location_updated` has them."""
        return {
            "ipAddress": self.ip_address,
            "latitude": self.latitude,
            "longitude": self.longitude,
            "countryCode": self.country_code,
            "stateCode": self.state_code,
            "city": self.city,
        }


def location_from_headers(headers: Mapping[str, str]) -> GeoLocation:
    """Return the location in response headers with lower-case names."""
    return _location(headers)


def location_from_response(response: HttpResponse) -> GeoLocation:
    """Return the location in the JSON body; fields that the body lacks come from the headers."""
    return _location({**response.headers, **_known(_json_object(response.body))})


def _location(values: Mapping[str, Any]) -> GeoLocation:
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
