"""Geo lookup: from a visitor's IP address to the location that geo audiences refer to.

`needs_lookup` and `merge` are the rules as plain functions. `GeoLookup` and its asynchronous twin
request locations from Target's edge. They cache responses, send one request per address however
many callers wait for it, and pause when the service does not respond. A lookup never raises:
without a response the caller's geo is used unchanged.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

import msgspec

from targetry._runtime.ids import uniform
from targetry._runtime.rate_limited_log import LogSink, RateLimitedLog
from targetry._runtime.retry import retry_after_s
from targetry.errors import ApiException
from targetry.events import GEO_LOCATION_UPDATED, GEO_LOOKUP_FAILED
from targetry.geo.cache import GeoCache, GeoStats, PendingLookup
from targetry.geo.location import GeoLocation, location_from_response
from targetry.http.protocol import HttpRequest, HttpResponse, Transport, shown_url
from targetry.models import Geo
from targetry.models.ip_address import UNKNOWN_IP_ADDRESS, is_ip_address, is_local_address

DEFAULT_TIMEOUT_S: Final = 1.0

# the result of a request whose caller was interrupted, for the callers that wait for it
LOOKUP_CANCELLED = TimeoutError("the lookup was cancelled")
MAX_BYTES = 64 * 1024
_TTL_S = 3600.0
_NEGATIVE_TTL_S = 30.0
_MAX_ENTRIES = 10_000

Emit = Callable[..., None]
AnyTransport = TypeVar("AnyTransport")


def needs_lookup(geo: Geo | None, enabled: bool) -> str | None:
    """Return the address to look up, None if no lookup is needed.

    The address has no surrounding spaces and no zone.

    Args:
        geo: The geo of the request. If it has a latitude, longitude, country, state or city, no
            lookup is needed.
        enabled: The artifact's `geoTargetingEnabled`.
    """
    if not enabled or geo is None or geo.ip_address is None:
        return None
    if not (
        geo.latitude is None
        and geo.longitude is None
        and geo.country_code is None
        and geo.state_code is None
        and geo.city is None
    ):
        return None
    if geo.ip_address == UNKNOWN_IP_ADDRESS:
        return UNKNOWN_IP_ADDRESS
    if not is_ip_address(geo.ip_address):
        return None
    return geo.ip_address.strip().partition("%")[0]


def merge(geo: Geo, location: GeoLocation | None) -> Geo:
    """Return the geo to decide with: a copy of the caller's with the location that was found.

    An invalid address, including the literal for an unknown one, is removed.
    """
    own = geo.ip_address if geo.ip_address is not None and is_ip_address(geo.ip_address) else None
    if location is None:
        return geo if own == geo.ip_address else msgspec.structs.replace(geo, ip_address=None)
    return msgspec.structs.replace(
        geo,
        ip_address=location.ip_address or own,
        latitude=location.latitude,
        longitude=location.longitude,
        country_code=location.country_code,
        state_code=location.state_code,
        city=location.city,
    )


class BaseGeoLookup(Generic[AnyTransport]):
    """Base of the synchronous and the asynchronous lookup: everything but the HTTP exchange."""

    def __init__(
        self,
        *,
        transport: AnyTransport,
        url: str,
        emit: Emit,
        log: LogSink,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        ttl_s: float = _TTL_S,
        negative_ttl_s: float = _NEGATIVE_TTL_S,
        max_entries: int = _MAX_ENTRIES,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        random: Callable[[], float] = uniform,
    ) -> None:
        self._transport = transport
        self._url = url
        self._emit = emit
        self._log = RateLimitedLog(log, clock)
        self._timeout_s = timeout_s
        self._now = now
        self._cache = GeoCache(
            timeout_s=timeout_s,
            ttl_s=ttl_s,
            negative_ttl_s=negative_ttl_s,
            max_entries=max_entries,
            clock=clock,
            random=random,
        )

    def stats(self) -> GeoStats:
        """Return the counts of lookups so far."""
        return self._cache.stats()

    def close(self) -> None:
        """Do nothing: the owner of the transport closes it."""

    def _request(self, ip: str) -> HttpRequest:
        return HttpRequest("GET", self._url, {} if ip == UNKNOWN_IP_ADDRESS else {"x-forwarded-for": ip})

    def _settle(self, ip: str, pending: PendingLookup, outcome: HttpResponse | Exception) -> None:
        """Complete the pending lookup, then emit the event."""
        if isinstance(outcome, HttpResponse) and outcome.status == 200:
            location = location_from_response(outcome)
            self._cache.complete(ip, pending, location if location.is_known else None)
            if location.is_known:
                self._emit(GEO_LOCATION_UPDATED, geo_context=merge(Geo(ip_address=ip), location))
            return
        retry_after = None
        if isinstance(outcome, HttpResponse):
            retry_after = retry_after_s(outcome.headers.get("retry-after"), self._now())
        paused = self._cache.fail(ip, pending, retry_after)
        self._report_failure(ip, outcome)
        if paused:
            self._log.error(
                "geo-paused",
                "Geo lookups at %s are paused: the service does not respond",
                shown_url(self._url),
            )

    def _report_failure(self, ip: str, outcome: HttpResponse | Exception) -> None:
        error: Exception
        url = shown_url(self._url)
        if isinstance(outcome, HttpResponse):
            text = (
                f"{outcome.status} status code while fetching geo data at: {url} - message: {outcome.reason}"
            )
            kind, error = f"geo-{outcome.status}", ApiException(outcome.status, text)
        else:
            why = getattr(outcome, "reason", None) or outcome
            text = f"Exception while fetching geo data at: {url} - error: {why}"
            kind, error = "geo-exception", outcome
        self._log.error(kind, "%s", text)
        self._emit(GEO_LOOKUP_FAILED, ip_address=ip, url=url, error=error)


class GeoLookup(BaseGeoLookup[Transport]):
    """Lookup at Target's edge, in the caller's thread, for at most `timeout_s` seconds."""

    def resolve(self, geo: Geo | None, *, enabled: bool, within_s: float | None = None) -> Geo | None:
        """Return the geo to decide with. Never raises.

        Args:
            geo: The geo of the request.
            enabled: The artifact's `geoTargetingEnabled`.
            within_s: The rest of the caller's time in seconds, None without a limit.
        """
        if geo is None or not enabled:
            return geo
        ip = needs_lookup(geo, enabled)
        return merge(geo, None if ip is None else self.find(ip, within_s))

    def find(self, ip: str, within_s: float | None = None) -> GeoLocation | None:
        """Return the location of an address, None without location or response in time.

        A private, shared, loopback or link-local address has no location, and is never sent.
        """
        if is_local_address(ip):
            return None
        timeout_s = self._timeout_s if within_s is None else min(self._timeout_s, within_s)
        if timeout_s <= 0:
            return None
        lookup = self._cache.acquire(ip)
        if lookup.pending is None:
            return lookup.location
        if lookup.must_request:
            self._request_location(ip, lookup.pending, timeout_s)
        try:
            return lookup.pending.result(timeout_s)
        except TimeoutError:
            return None

    def _request_location(self, ip: str, pending: PendingLookup, timeout_s: float) -> None:
        outcome: HttpResponse | Exception = LOOKUP_CANCELLED
        try:
            outcome = self._transport.send(self._request(ip), timeout=timeout_s, max_bytes=MAX_BYTES)
        except Exception as error:  # a transport of the user can raise anything
            outcome = error
        finally:
            self._settle(ip, pending, outcome)
