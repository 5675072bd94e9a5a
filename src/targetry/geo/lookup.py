"""From a visitor's IP address to the place that geo audiences ask about (spec/decisioning.md §3, divergences D-13).

`needs_lookup` and `merge` are the rules, as plain functions. `GeoLookup` and its asyncio twin ask Target's edge; they remember
what they were told, ask about one address once however many callers wait for it, and leave a service alone that
does not answer. A lookup never raises: without an answer the caller's geo is used as it is.
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
from targetry.models.ip_address import UNKNOWN_IP_ADDRESS, is_ip_address

DEFAULT_TIMEOUT_S: Final = 1.0

LOOKUP_CANCELLED = TimeoutError(
    "the lookup was given up"
)  # what waits for it learns when the one who asked is torn away
MAX_BYTES = 64 * 1024
_TTL_S = 3600.0
_NEGATIVE_TTL_S = 30.0
_MAX_ENTRIES = 10_000

Emit = Callable[..., None]
AnyTransport = TypeVar("AnyTransport")


def needs_lookup(geo: Geo | None, enabled: bool) -> str | None:
    """The address to look up, or None when there is nothing to do.

    `enabled` is the artifact's `geoTargetingEnabled`. A caller who says anything about the place (latitude, longitude,
    country, state, city) is believed. The address is bare: no spaces around it, no zone.
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


def merge(geo: Geo, place: GeoLocation | None) -> Geo:
    """The geo to decide by: the caller's, with the place that was found, if any, in a copy.

    An address that is none, the literal for an unknown one included, is not passed on.
    """
    own = geo.ip_address if geo.ip_address is not None and is_ip_address(geo.ip_address) else None
    if place is None:
        return geo if own == geo.ip_address else msgspec.structs.replace(geo, ip_address=None)
    return msgspec.structs.replace(
        geo,
        ip_address=place.ip_address or own,
        latitude=place.latitude,
        longitude=place.longitude,
        country_code=place.country_code,
        state_code=place.state_code,
        city=place.city,
    )


class BaseGeoLookup(Generic[AnyTransport]):
    """All of a lookup but the exchange of bytes, which is where the twins differ."""

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
        self._places = GeoCache(
            timeout_s=timeout_s,
            ttl_s=ttl_s,
            negative_ttl_s=negative_ttl_s,
            max_entries=max_entries,
            clock=clock,
            random=random,
        )

    def stats(self) -> GeoStats:
        """How things stand now."""
        return self._places.stats()

    def close(self) -> None:
        """Nothing to do: the transport is closed by who made it."""

    def _request(self, ip: str) -> HttpRequest:
        return HttpRequest("GET", self._url, {} if ip == UNKNOWN_IP_ADDRESS else {"x-forwarded-for": ip})

    def _learn(self, ip: str, flight: PendingLookup, outcome: HttpResponse | Exception) -> None:
        """Let those who wait go on, then tell."""
        if isinstance(outcome, HttpResponse) and outcome.status == 200:
            place = location_from_response(outcome)
            self._places.settle(ip, flight, place if place.is_known else None)
            if place.is_known:
                self._emit(GEO_LOCATION_UPDATED, geo_context=merge(Geo(ip_address=ip), place))
            return
        retry_after = None
        if isinstance(outcome, HttpResponse):
            retry_after = retry_after_s(outcome.headers.get("retry-after"), self._now())
        paused = self._places.settle_failed(ip, flight, retry_after)
        self._tell_failure(ip, outcome)
        if paused:
            self._log.error(
                "geo-paused", "Geo lookups at %s are paused, it does not answer", shown_url(self._url)
            )

    def _tell_failure(self, ip: str, outcome: HttpResponse | Exception) -> None:
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
    """Asks Target's edge, in the caller's thread; a caller waits for at most `timeout_s` seconds."""

    def resolve(self, geo: Geo | None, *, enabled: bool, within_s: float | None = None) -> Geo | None:
        """Return the geo to decide by. Never raises.

        `enabled` is the artifact's `geoTargetingEnabled`, `within_s` what is left of the caller's time, in seconds.
        """
        if geo is None or not enabled:
            return geo
        ip = needs_lookup(geo, enabled)
        return merge(geo, None if ip is None else self.find(ip, within_s))

    def find(self, ip: str, within_s: float | None = None) -> GeoLocation | None:
        """Return the place of an address; None when there is none, or no answer in time."""
        timeout_s = self._timeout_s if within_s is None else min(self._timeout_s, within_s)
        if timeout_s <= 0:
            return None
        turn = self._places.begin(ip)
        if turn.flight is None:
            return turn.place
        if turn.leads:
            self._ask(ip, turn.flight, timeout_s)
        try:
            return turn.flight.result(timeout_s)
        except TimeoutError:
            return None

    def _ask(self, ip: str, flight: PendingLookup, timeout_s: float) -> None:
        outcome: HttpResponse | Exception = LOOKUP_CANCELLED
        try:
            outcome = self._transport.send(self._request(ip), timeout=timeout_s, max_bytes=MAX_BYTES)
        except Exception as error:  # the transport may be the user's own, and raise anything
            outcome = error
        finally:
            self._learn(ip, flight, outcome)
