"""Geo location of a request, for `GET /v1/geo` and the geo headers of artifacts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from starlette.requests import Request

from targetry.edge.delivery.handler import AddressLocator
from targetry.edge.delivery.request_parsing import check_field_count
from targetry.geo.location import GeoLocation, location_from_headers
from targetry.models.ip_address import is_ip_address, parse_ip_address

_FIELDS = {
    "x-geo-latitude": "latitude",
    "x-geo-longitude": "longitude",
    "x-geo-country-code": "country_code",
    "x-geo-region-code": "state_code",
    "x-geo-city": "city",
}


class ClientAddress(NamedTuple):
    """IP address of a visitor's client, None if unknown; `is_invalid` if a given one is invalid."""

    text: str | None = None
    is_invalid: bool = False


def client_address(request: Request) -> ClientAddress:
    """Return the first address of `x-forwarded-for`, by default that of the connection."""
    return _address_in(request.headers, request)


def geo_values(request: Request, locate: AddressLocator | None) -> tuple[dict[str, Any], bool]:
    """Return the address and its location, and whether the given address is invalid.

    Values of the query have precedence over headers of the same names. The location is looked up if
    neither has one.

    Raises:
        RequestRejected: 400, the query has too many fields.
    """
    check_field_count(request.url.query)
    given = {**request.headers, **request.query_params}
    address, is_invalid = _address_in(given, request)
    location = location_from_headers(given)
    if not location.is_known and address is not None and locate is not None:
        location = locate(address) or location
    values = {**({} if address is None else {"x-forwarded-for": address}), **dict(_known(location))}
    return values, is_invalid


def _address_in(given: Mapping[str, str], request: Request) -> ClientAddress:
    """Return the address; the connection's, possibly a proxy's, does not replace an invalid one."""
    forwarded = given.get("x-forwarded-for", "").strip()
    if forwarded:
        known = parse_ip_address(forwarded)
        return ClientAddress(None if known is None else _without_zone(known), known is None)
    host = request.client.host if request.client is not None else ""
    return ClientAddress(_without_zone(host) if is_ip_address(host) else None)


def _without_zone(address: str) -> str:
    return address.strip().partition("%")[0]


def geo_headers(values: dict[str, Any]) -> dict[str, str]:
    """Return the values as headers, without those that a header cannot represent."""
    texts = {name: str(value) for name, value in values.items()}
    return {name: text for name, text in texts.items() if text.isprintable() and _is_latin1(text)}


def _known(location: GeoLocation) -> Iterator[tuple[str, Any]]:
    for name, field in _FIELDS.items():
        value = getattr(location, field)
        if value is not None:
            yield name, value


def _is_latin1(text: str) -> bool:
    return all(ord(character) < 256 for character in text)
