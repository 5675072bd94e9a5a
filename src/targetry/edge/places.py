"""`GET /v1/geo` and the geo headers of artifacts: a place, in the names that SDKs read (spec/decisioning.md §3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from starlette.requests import Request

from targetry.background.place import Place, place_of_headers
from targetry.models.ip_address import is_ip_address

from .delivery import FindPlace

_FIELDS = {
    "x-geo-latitude": "latitude",
    "x-geo-longitude": "longitude",
    "x-geo-country-code": "country_code",
    "x-geo-region-code": "state_code",
    "x-geo-city": "city",
}


def asked_address(request: Request) -> str | None:
    """Whose place is asked for: the first address of `x-forwarded-for`, else the one that asks."""
    return _address_in(request.headers, request)


def geo_values(request: Request, find_place: FindPlace | None) -> dict[str, Any]:
    """The address, and of its place what is known.

    The query says it before the headers do, by the same names; where neither says anything of the place, it is looked up.
    """
    said = {**request.headers, **request.query_params}
    address = _address_in(said, request)
    place = place_of_headers(said)
    if not place.is_known and address is not None and find_place is not None:
        place = find_place(address) or place
    return {**({} if address is None else {"x-forwarded-for": address}), **dict(_known(place))}


def _address_in(said: Mapping[str, str], request: Request) -> str | None:
    forwarded = _address(said.get("x-forwarded-for", "").partition(",")[0].strip())
    if forwarded or request.client is None:
        return forwarded
    return _address(request.client.host)


def _address(text: str) -> str | None:
    return text.partition("%")[0] if is_ip_address(text) else None


def geo_headers(values: dict[str, Any]) -> dict[str, str]:
    """The same as headers; a name that no header can say is in the body only."""
    texts = {name: str(value) for name, value in values.items()}
    return {name: text for name, text in texts.items() if text.isprintable() and _is_latin(text)}


def _known(place: Place) -> Iterator[tuple[str, Any]]:
    for name, field in _FIELDS.items():
        value = getattr(place, field)
        if value is not None:
            yield name, value


def _is_latin(text: str) -> bool:
    return all(ord(character) < 256 for character in text)
