"""`GeoLookup` and `GeoDatabase` for asyncio, in a module of their own because asyncio takes long to import."""

from __future__ import annotations

import asyncio
import functools

from targetry.geo.cache import PendingLookup
from targetry.geo.location import GeoLocation
from targetry.geo.lookup import LOOKUP_CANCELLED, MAX_BYTES, BaseGeoLookup, merge, needs_lookup
from targetry.geo.maxmind import GeoDatabase
from targetry.http.protocol import AsyncTransport, HttpResponse
from targetry.models import Geo


class AsyncGeoLookup(BaseGeoLookup[AsyncTransport]):
    """As `GeoLookup`, in the caller's event loop. A caller who is cancelled does not take the answer from the others."""

    @functools.cached_property
    def _tasks(self) -> set[asyncio.Task[None]]:
        return set()  # the loop itself keeps only weak references

    async def resolve(self, geo: Geo | None, *, enabled: bool) -> Geo | None:
        """As `GeoLookup.resolve`."""
        if geo is None or not enabled:
            return geo
        ip = needs_lookup(geo, enabled)
        return merge(geo, None if ip is None else await self.find(ip))

    async def find(self, ip: str) -> GeoLocation | None:
        """As `GeoLookup.find`."""
        turn = self._places.begin(ip)
        if turn.flight is None:
            return turn.place
        if turn.leads:
            task = asyncio.create_task(self._ask(ip, turn.flight), name="targetry geo lookup")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(turn.flight), self._timeout_s)
        except TimeoutError:
            return None

    async def _ask(self, ip: str, flight: PendingLookup) -> None:
        outcome: HttpResponse | Exception = LOOKUP_CANCELLED
        try:
            request = self._request(ip)
            outcome = await self._transport.send(request, timeout=self._timeout_s, max_bytes=MAX_BYTES)
        except Exception as error:
            outcome = error
        finally:
            self._learn(ip, flight, outcome)


class AsyncGeoDatabase:
    """`GeoDatabase` where `AsyncGeoLookup` is expected; it waits for nothing."""

    def __init__(self, database: GeoDatabase) -> None:
        self._database = database

    async def resolve(self, geo: Geo | None, *, enabled: bool) -> Geo | None:
        """As `GeoDatabase.resolve`."""
        return self._database.resolve(geo, enabled=enabled)

    def close(self) -> None:
        self._database.close()
