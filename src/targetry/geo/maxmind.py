"""Places from a file on this machine instead of from Target's edge: no request, no address that leaves the process.

The file is a MaxMind database with cities (`.mmdb`: GeoLite2-City, GeoIP2-City or one of that shape), which the user
provides; the package `maxminddb` reads it, and is imported only here.
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
    """What is used of `maxminddb.Reader`."""

    def get(self, ip_address: str, /) -> Any: ...

    def close(self) -> None: ...


class GeoDatabase:
    """Has the place of `GeoLookup.resolve` in a client with the option `geo_database`."""

    def __init__(self, reader: MaxMindReader, emit: Emit) -> None:
        self._reader = reader
        self._emit = emit

    @classmethod
    def open(cls, path: str | os.PathLike[str], emit: Emit) -> GeoDatabase:
        """Raises `OptionError` when the package or the file is missing, or the file is no such database."""
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
        """Return the geo to decide by, as `GeoLookup.resolve` does, without a wait. Never raises."""
        if geo is None or not enabled:
            return geo
        ip = needs_lookup(geo, enabled)
        place = None if ip is None else self.find(ip)
        resolved = merge(geo, place)
        if place is not None:
            self._emit(GEO_LOCATION_UPDATED, geo_context=resolved)
        return resolved

    def find(self, ip: str) -> GeoLocation | None:
        """The place of an address; None when the file does not know it."""
        try:
            record = self._reader.get(ip)
        except Exception:  # not an address (the literal for an unknown one), a damaged record, a closed file
            return None
        place = location_from_record(record)
        return place if place.is_known else None

    def close(self) -> None:
        self._reader.close()


def location_from_record(record: object) -> GeoLocation:
    """The place in a record of a city database; what it does not have is None."""
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
