"""Geo cache: known locations, single-flight requests and the circuit breaker.

The cache neither waits nor sends. `acquire` returns what a caller has to do; the caller that has to
send the request reports its result with `complete` or `fail`. The lock is held for a few dictionary
operations.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future

import msgspec

from targetry._runtime.forks import register_fork_handler
from targetry.geo.circuit_breaker import CircuitBreaker
from targetry.geo.location import GeoLocation

PendingLookup = Future[GeoLocation | None]


class CacheLookup(msgspec.Struct, frozen=True):
    """The result of `GeoCache.acquire`.

    Without `pending`, `location` is the result. Otherwise the caller waits for `pending`; with
    `must_request` it sends the request first.
    """

    location: GeoLocation | None = None
    pending: PendingLookup | None = None
    must_request: bool = False


class GeoStats(msgspec.Struct):
    """Counts of geo lookups.

    `requests` were sent, `hits` came from the cache, `shared` waited for the request of another
    caller, `skipped` were not sent because the circuit breaker was open (`paused`: it is now).
    `entries` is the number of cached addresses.
    """

    requests: int = 0
    hits: int = 0
    shared: int = 0
    skipped: int = 0
    failures: int = 0
    entries: int = 0
    paused: bool = False


class GeoCache:
    """Locations by IP address, with single-flight requests.

    A location is cached for `ttl_s` seconds, the absence of a location or of a response for
    `negative_ttl_s`. Beyond `max_entries` addresses the least recently used one is evicted. A
    request takes at most `timeout_s`.
    """

    def __init__(
        self,
        *,
        timeout_s: float,
        ttl_s: float,
        negative_ttl_s: float,
        max_entries: int,
        clock: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self._ttl_s = ttl_s
        self._negative_ttl_s = negative_ttl_s
        self._max_entries = max_entries
        self._lost_after_s = 2 * timeout_s + 1
        self._clock = clock
        self._breaker = CircuitBreaker(probe_s=timeout_s, clock=clock, random=random)
        self._cache: OrderedDict[str, tuple[float, GeoLocation | None]] = OrderedDict()  # expiry, location
        self._stats = GeoStats()
        self.after_fork()
        register_fork_handler(self)

    def after_fork(self) -> None:
        """Keep the known locations in a child process and drop pending lookups."""
        self._lock = threading.RLock()  # reentrant, for lookups in signal handlers
        self._pending: dict[str, tuple[float, PendingLookup]] = {}  # start, lookup

    def acquire(self, ip: str) -> CacheLookup:
        """Return the location of an address, a pending lookup, or the task to request it."""
        now = self._clock()
        with self._lock:
            known = self._cache.get(ip)
            if known is not None and now < known[0]:
                self._cache[ip] = self._cache.pop(ip, known)  # now the most recently used
                self._stats.hits += 1
                return CacheLookup(known[1])
            pending = self._pending.get(ip)
            if pending is not None and now - pending[0] < self._lost_after_s:
                self._stats.shared += 1
                return CacheLookup(pending=pending[1])
            if not self._breaker.allows():
                self._stats.skipped += 1
                return CacheLookup()
            return CacheLookup(pending=self._add_pending(ip, now), must_request=True)

    def complete(self, ip: str, pending: PendingLookup, location: GeoLocation | None) -> None:
        """Report a response: the location, None if the service has none."""
        with self._lock:
            self._breaker.succeeded()
            self._store(ip, pending, location, self._ttl_s if location is not None else self._negative_ttl_s)
        pending.set_result(location)

    def fail(self, ip: str, pending: PendingLookup, retry_after_s: float | None = None) -> bool:
        """Report a failure; return whether it opened the circuit breaker."""
        with self._lock:
            self._stats.failures += 1
            paused = self._breaker.failed(retry_after_s)
            self._store(ip, pending, None, self._negative_ttl_s)
        pending.set_result(None)
        return paused

    def stats(self) -> GeoStats:
        """Return a copy of the counts."""
        with self._lock:
            self._stats.entries = len(self._cache)
            self._stats.paused = self._breaker.is_open
            return msgspec.structs.replace(self._stats)

    def _add_pending(self, ip: str, now: float) -> PendingLookup:
        pending: PendingLookup = Future()
        pending.set_running_or_notify_cancel()  # a waiting caller cannot cancel it
        self._pending[ip] = (now, pending)
        self._stats.requests += 1
        return pending

    def _store(self, ip: str, pending: PendingLookup, location: GeoLocation | None, ttl_s: float) -> None:
        current = self._pending.get(ip)
        if current is not None and current[1] is pending:
            self._pending.pop(ip, None)
        self._cache.pop(ip, None)
        self._cache[ip] = (self._clock() + ttl_s, location)
        while len(self._cache) > self._max_entries:
            self._cache.popitem(last=False)
