"""`GET /v1/geo` and the geo headers of artifacts: a place, in the names that SDKs read."""

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
    """The address of a visitor's client; None if it is not known. `is_unread`: one was given that is not understood."""

    text: str | None = None
    is_unread: bool = False


def client_address(request: Request) -> ClientAddress:
    """Return the first address of `x-forwarded-for`; without that field, the address that the request comes from."""
    return _address_in(request.headers, request)


def geo_values(request: Request, locate: AddressLocator | None) -> tuple[dict[str, Any], bool]:
    """Return the address and what is known of its place, and whether an address was given that is not understood.

    Values of the query have precedence over headers of the same names; without any of the place, it is looked up.

    Raises:
        RequestRejected: 400, the query has too many fields.
    """
    check_field_count(request.url.query)
    said = {**request.headers, **request.query_params}
    address, is_unread = _address_in(said, request)
    place = location_from_headers(said)
    if not place.is_known and address is not None and locate is not None:
        place = locate(address) or place
    values = {**({} if address is None else {"x-forwarded-for": address}), **dict(_known(place))}
    return values, is_unread


def _address_in(said: Mapping[str, str], request: Request) -> ClientAddress:
    """An address that is not understood is not replaced by that of the connection, which may be a proxy elsewhere."""
    forwarded = said.get("x-forwarded-for", "").strip()
    if forwarded:
        known = parse_ip_address(forwarded)
        return ClientAddress(None if known is None else _bare(known), known is None)
    host = request.client.host if request.client is not None else ""
    return ClientAddress(_bare(host) if is_ip_address(host) else None)


def _bare(address: str) -> str:
    return address.strip().partition("%")[0]


def geo_headers(values: dict[str, Any]) -> dict[str, str]:
    """The same as headers; a name that no header can say is in the body only."""
    texts = {name: str(value) for name, value in values.items()}
    return {name: text for name, text in texts.items() if text.isprintable() and _is_latin(text)}


def _known(place: GeoLocation) -> Iterator[tuple[str, Any]]:
    for name, field in _FIELDS.items():
        value = getattr(place, field)
        if value is not None:
            yield name, value


def _is_latin(text: str) -> bool:
    return all(ord(character) < 256 for character in text)
