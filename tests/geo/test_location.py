from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.background_fakes import answer
from support.cases import each_case
from targetry.geo.location import GeoLocation, location_from_headers, location_from_response

HEADERS = {
    "x-geo-latitude": "37.75",
    "x-geo-longitude": "-122.24",
    "x-geo-country-code": "US",
    "x-geo-region-code": "CA",
    "x-geo-city": "SAN FRANCISCO",
    "x-forwarded-for": "12.21.1.40",
}
PLACE = GeoLocation(37.75, -122.24, "US", "CA", "SAN FRANCISCO", "12.21.1.40")


def place_of_body(value: object) -> GeoLocation:
    return location_from_response(answer(200, msgspec.json.encode(value)))


def test_location_is_read_from_headers() -> None:
    assert location_from_headers(HEADERS) == PLACE


@pytest.mark.parametrize("names", [str.lower, str.title], ids=["lower-case", "other case"])
def test_location_is_read_from_the_body(names: type[str]) -> None:
    assert place_of_body({names(name): value for name, value in HEADERS.items()}) == PLACE


def test_coordinates_in_the_body_can_be_numbers() -> None:
    assert place_of_body({"x-geo-latitude": 1, "x-geo-longitude": 2.5}) == GeoLocation(1.0, 2.5)


def test_headers_fill_in_for_the_body() -> None:
    body = b'{"x-geo-city": "Rome", "x-geo-region-code": "", "x-geo-latitude": null}'
    response = answer(200, body, x_geo_city="Oslo", x_geo_region_code="RM", x_geo_latitude="41.9")
    assert location_from_response(response) == GeoLocation(latitude=41.9, state_code="RM", city="Rome")


@each_case("body", [b"", b"<html>", b"[1]", b"null", b"\xff", b"[" * 100_000])
def test_headers_are_used_when_the_body_has_no_location(body: bytes) -> None:
    assert location_from_response(answer(200, body, x_geo_city="Oslo")) == GeoLocation(city="Oslo")


@each_case("value", ["north", "", "nan", "inf", 91, -1e400, True, [1], {"a": 1}, 10**400])
def test_invalid_latitude_is_absent(value: object) -> None:
    body = b'{"x-geo-latitude": %s}' % (msgspec.json.encode(value) if value != -1e400 else b"-1e308")
    assert location_from_response(answer(200, body)).latitude is None


@each_case("value", ["  ", True, ["Rome"], {"a": 1}, None])
def test_invalid_city_is_absent(value: object) -> None:
    assert not place_of_body({"x-geo-city": value}).is_known


@each_case("value", ["", "unknownIpAddress", "1.2.3", "1.2.3.4, 5.6.7.8", 7])
def test_invalid_address_is_absent(value: object) -> None:
    assert place_of_body({"x-forwarded-for": value}).ip_address is None


def test_location_is_known_by_any_field_but_the_address() -> None:
    assert not GeoLocation(ip_address="1.2.3.4").is_known
    for known in (
        GeoLocation(latitude=0.0),
        GeoLocation(longitude=0.0),
        GeoLocation(country_code="US"),
        GeoLocation(state_code="CA"),
        GeoLocation(city="x"),
    ):
        assert known.is_known


@given(
    st.dictionaries(
        st.sampled_from(list(HEADERS)), st.text() | st.floats() | st.integers() | st.none() | st.booleans()
    )
)
def test_any_json_body_gives_a_location(values: dict[str, object]) -> None:
    place = place_of_body(values)
    assert place.latitude is None or math.isfinite(place.latitude)
    assert place.city is None or place.city.strip() == place.city != ""


@given(st.binary(max_size=100))
def test_any_body_gives_a_location(body: bytes) -> None:
    assert not location_from_response(answer(200, body)).is_known
