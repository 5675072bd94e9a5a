"""Asynchronous geo lookups; a module of its own, because importing asyncio takes long."""

from __future__ import annotations

import asyncio
import functools

from targetry.geo.cache import PendingLookup
from targetry.geo.location import GeoLocation
from targetry.geo.lookup import LOOKUP_CANCELLED, MAX_BYTES, BaseGeoLookup, merge, needs_lookup
from targetry.geo.maxmind import GeoDatabase
from targetry.http.protocol import AsyncTransport, HttpResponse
from targetry.models import Geo
from targetry.models.ip_address import is_local_address


class AsyncGeoLookup(BaseGeoLookup[AsyncTransport]):
    """`GeoLookup` for asyncio, in the caller's event loop.

    The cancellation of one caller does not cancel the request that others wait for.
    """

    @functools.cached_property
    def _tasks(self) -> set[asyncio.Task[None]]:
        return set()  # the loop itself keeps only weak references

    async def resolve(self, geo: Geo | None, *, enabled: bool) -> Geo | None:
        """Return the geo to decide with, as `GeoLookup.resolve` does."""
        if geo is None or not enabled:
            return geo
        ip = needs_lookup(geo, enabled)
        return merge(geo, None if ip is None else await self.find(ip))

    async def find(self, ip: str) -> GeoLocation | None:
        """Return the location of an address, as `GeoLookup.find` does."""
        if is_local_address(ip):
            return None
        lookup = self._cache.acquire(ip)
        if lookup.pending is None:
            return lookup.location
        if lookup.must_request:
            task = asyncio.create_task(self._request_location(ip, lookup.pending), name="targetry geo lookup")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(lookup.pending), self._timeout_s)
        except TimeoutError:
            return None

    async def _request_location(self, ip: str, pending: PendingLookup) -> None:
        outcome: HttpResponse | Exception = LOOKUP_CANCELLED
        try:
            request = self._request(ip)
            outcome = await self._transport.send(request, timeout=self._timeout_s, max_bytes=MAX_BYTES)
        except Exception as error:
            outcome = error
        finally:
            self._settle(ip, pending, outcome)


class AsyncGeoDatabase:
    """A `GeoDatabase` with the interface of `AsyncGeoLookup`; it never waits."""

    def __init__(self, database: GeoDatabase) -> None:
        self._database = database

    async def resolve(self, geo: Geo | None, *, enabled: bool) -> Geo | None:
        """Return the geo to decide with, as `GeoDatabase.resolve` does."""
        return self._database.resolve(geo, enabled=enabled)

    def close(self) -> None:
        """Close the database."""
        self._database.close()
