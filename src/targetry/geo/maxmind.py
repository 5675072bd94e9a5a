"""Locations from a MaxMind database: a lookup without requests.

The user provides a city database (`.mmdb`: GeoLite2-City, GeoIP2-City or one of that structure),
which the package `maxminddb` reads. It is imported here only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Protocol

from targetry.errors import OptionError
from targetry.events import GEO_LOCATION_UPDATED
from targetry.geo.location import GeoLocation
from targetry.geo.lookup import Emit, merge, needs_lookup
from targetry.models import Geo

_OPTION = "geo_database"


class MaxMindReader(Protocol):
    """The used part of `maxminddb.Reader`."""

    def get(self, ip_address: str, /) -> Any:
        """Return the record of an address."""

    def close(self) -> None:
        """Close the file."""


class GeoDatabase:
    """Replaces `GeoLookup` in a client with the option `geo_database`."""

    def __init__(self, reader: MaxMindReader, emit: Emit) -> None:
        self._reader = reader
        self._emit = emit

    @classmethod
    def open(cls, path: str | os.PathLike[str], emit: Emit) -> GeoDatabase:
        """Open a database.

        Raises:
            OptionError: The package or the file is missing, or the file is not a city database.
        """
        try:
            import maxminddb
        except ModuleNotFoundError as error:
            reason = f"needs the package {error.name}: pip install 'targetry[geo]'"
            raise OptionError(_OPTION, reason) from None
        try:
            return cls(maxminddb.open_database(path), emit)
        except FileNotFoundError:
            raise OptionError(_OPTION, f"there is no file {os.fspath(path)!r}") from None
        except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
            raise OptionError(_OPTION, f"{os.fspath(path)!r} cannot be used: {error}") from error

    def resolve(self, geo: Geo | None, *, enabled: bool, within_s: float | None = None) -> Geo | None:
        """Return the geo to decide with, as `GeoLookup.resolve` does. Never waits, never raises."""
        if geo is None or not enabled:
            return geo
        ip = needs_lookup(geo, enabled)
        location = None if ip is None else self.find(ip)
        resolved = merge(geo, location)
        if location is not None:
            self._emit(GEO_LOCATION_UPDATED, geo_context=resolved)
        return resolved

    def find(self, ip: str) -> GeoLocation | None:
        """Return the location of an address, None if the database does not have it."""
        try:
            record = self._reader.get(ip)
        except Exception:  # an invalid address, a damaged record, a closed file
            return None
        location = location_from_record(record)
        return location if location.is_known else None

    def close(self) -> None:
        """Close the file."""
        self._reader.close()


def location_from_record(record: object) -> GeoLocation:
    """Return the location in a record of a city database."""
    subdivisions = _at(record, "subdivisions")
    state = subdivisions[0] if isinstance(subdivisions, list) and subdivisions else None
    location = _at(record, "location")
    return GeoLocation(
        latitude=_number(_at(location, "latitude")),
        longitude=_number(_at(location, "longitude")),
        country_code=_text(_at(_at(record, "country"), "iso_code")),
        state_code=_text(_at(state, "iso_code")),
        city=_text(_at(_at(_at(record, "city"), "names"), "en")),
    )


def _at(value: object, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
