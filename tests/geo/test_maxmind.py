from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.background_fakes import Listener
from support.examples import examples
from support.mmdb_writer import mmdb
from targetry.errors import OptionError
from targetry.geo.async_lookup import AsyncGeoDatabase
from targetry.geo.location import GeoLocation
from targetry.geo.maxmind import GeoDatabase, location_from_record
from targetry.models import Geo

pytest.importorskip("maxminddb")

SAN_FRANCISCO = {
    "city": {"names": {"de": "San Franzisko", "en": "San Francisco"}},
    "country": {"iso_code": "US"},
    "subdivisions": [{"iso_code": "CA"}, {"iso_code": "XX"}],
    "location": {"latitude": 37.74, "longitude": -122.24},
}
RECORDS = {
    "12.21.1.0/24": SAN_FRANCISCO,
    "12.21.2.0/24": {"country": {"iso_code": "US"}},
    "12.21.3.0/24": {"traits": {"is_anycast": "yes"}},
    "2001:db8::/32": {"city": {"names": {"en": "Zürich"}}, "country": {"iso_code": "CH"}},
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("geo") / "cities.mmdb"
    path.write_bytes(mmdb(RECORDS))
    return path


@pytest.mark.parametrize(
    ("ip", "place"),
    [
        ("12.21.1.40", GeoLocation(37.74, -122.24, "US", "CA", "San Francisco")),
        ("12.21.2.40", GeoLocation(country_code="US")),
        ("12.21.3.40", None),
        ("10.0.0.1", None),
        ("2001:db8::1", GeoLocation(country_code="CH", city="Zürich")),
        ("::ffff:12.21.1.40", None),
        ("unknownIpAddress", None),
    ],
)
def test_address_is_found_in_the_database(ip: str, place: GeoLocation | None, path: Path) -> None:
    assert GeoDatabase.open(path, Listener()).find(ip) == place


def test_location_is_merged_into_the_geo_of_the_request(path: Path) -> None:
    listener = Listener()
    geo = Geo(ip_address=" 12.21.1.40", zip="94100")
    resolved = GeoDatabase.open(path, listener).resolve(geo, enabled=True)
    assert resolved == Geo(" 12.21.1.40", 37.74, -122.24, "US", "CA", "San Francisco", "94100")
    assert listener.last("geo_location_updated") == {"geo_context": resolved}
    assert geo == Geo(ip_address=" 12.21.1.40", zip="94100")


@pytest.mark.parametrize(
    ("geo", "enabled"),
    [
        (None, True),
        (Geo(ip_address="12.21.1.40"), False),
        (Geo(ip_address="12.21.1.40", city="Rome"), True),
        (Geo(), True),
    ],
    ids=["no geo", "disabled", "caller knows", "no address"],
)
def test_database_is_not_read_without_need(geo: Geo | None, enabled: bool, path: Path) -> None:
    listener = Listener()
    assert GeoDatabase.open(path, listener).resolve(geo, enabled=enabled) is geo
    assert listener.events == []


def test_asynchronous_lookup_gives_the_same(path: Path) -> None:
    database = GeoDatabase.open(path, Listener())
    geo = Geo(ip_address="12.21.1.40")
    assert asyncio.run(AsyncGeoDatabase(database).resolve(geo, enabled=True)) == database.resolve(
        geo, enabled=True
    )


def test_closed_database_has_no_locations(path: Path) -> None:
    database = GeoDatabase.open(path, Listener())
    AsyncGeoDatabase(database).close()
    geo = Geo(ip_address="12.21.1.40")
    assert database.resolve(geo, enabled=True) is geo


@pytest.mark.parametrize(
    "content", [b"", b"not a database", mmdb(RECORDS)[:-40]], ids=["empty", "other", "cut"]
)
def test_file_that_is_no_database_is_an_option_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.mmdb"
    path.write_bytes(content)
    with pytest.raises(OptionError, match=r"^geo_database: '.*x\.mmdb' cannot be used: ."):
        GeoDatabase.open(path, Listener())


def test_missing_file_is_an_option_error(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"^geo_database: there is no file '.*nowhere\.mmdb'$"):
        GeoDatabase.open(tmp_path / "nowhere.mmdb", Listener())


def test_folder_is_an_option_error(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"^geo_database: "):
        GeoDatabase.open(tmp_path, Listener())


def test_missing_package_is_an_option_error_that_says_what_to_install(path: Path) -> None:
    script = (
        "import sys; sys.modules['maxminddb'] = None\n"
        "from targetry.geo.maxmind import GeoDatabase; from targetry.errors import OptionError\n"
        "try: GeoDatabase.open(sys.argv[1], print)\n"
        "except OptionError as error: assert error.path == 'geo_database' and 'targetry[geo]' in str(error)\n"
        "else: sys.exit('no error')"
    )
    subprocess.run([sys.executable, "-c", script, path], check=True, env={"PYTHONPATH": ":".join(sys.path)})


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["city", "names", "en", "country", "iso_code", "subdivisions", "location", "latitude"]
            ),
            inner,
        )
    ),
    max_leaves=12,
)


@given(json)
@settings(max_examples=examples(100), deadline=None)
def test_any_record_gives_a_location(record: object) -> None:
    place = location_from_record(record)
    assert isinstance(place.city, str | None)
    assert isinstance(place.latitude, float | None)
