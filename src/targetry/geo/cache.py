"""What is known about addresses, who is asking about which of them, and whether to ask at all.

Waits for nothing and sends nothing: `begin` says what a caller is to do, and whoever was told to ask reports to `settle`.
The lock is held for a few dictionary operations.
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
    """What to do about an address: without `flight`, take `place`; else wait for the flight, having asked if `leads`."""

    place: GeoLocation | None = None
    flight: PendingLookup | None = None
    leads: bool = False


class GeoStats(msgspec.Struct):
    """`requests` were sent, `hits` answered from memory, `shared` waited for another caller's request, `skipped`
    were not made because the service does not answer. `entries` are remembered now."""

    requests: int = 0
    hits: int = 0
    shared: int = 0
    skipped: int = 0
    failures: int = 0
    entries: int = 0
    paused: bool = False


class GeoCache:
    """Remembers a place for `ttl_s` seconds, and that there was none, or no answer, for `negative_ttl_s`. The least
    recently used of more than `max_entries` addresses is forgotten. An attempt takes `timeout_s` at most."""

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
        self._places: OrderedDict[str, tuple[float, GeoLocation | None]] = OrderedDict()  # until when, what
        self._stats = GeoStats()
        self.after_fork()
        register_fork_handler(self)

    def after_fork(self) -> None:
        """In a child: what is known stays; who was asking is gone."""
        self._lock = threading.RLock()  # a signal handler may look an address up while it is held
        self._flights: dict[str, tuple[float, PendingLookup]] = {}  # since when, what

    def begin(self, ip: str) -> CacheLookup:
        now = self._clock()
        with self._lock:
            known = self._places.get(ip)
            if known is not None and now < known[0]:
                self._places[ip] = self._places.pop(ip, known)  # now the most recent
                self._stats.hits += 1
                return CacheLookup(known[1])
            under_way = self._flights.get(ip)
            if under_way is not None and now - under_way[0] < self._lost_after_s:
                self._stats.shared += 1
                return CacheLookup(flight=under_way[1])
            if not self._breaker.allows():
                self._stats.skipped += 1
                return CacheLookup()
            return CacheLookup(flight=self._take_off(ip, now), leads=True)

    def settle(self, ip: str, flight: PendingLookup, place: GeoLocation | None) -> None:
        """The service answered: `place`, or that it knows none."""
        with self._lock:
            self._breaker.succeeded()
            self._land(ip, flight, place, self._ttl_s if place is not None else self._negative_ttl_s)
        flight.set_result(place)

    def settle_failed(self, ip: str, flight: PendingLookup, retry_after_s: float | None = None) -> bool:
        """The service did not answer; whether it is left alone for a while from now on."""
        with self._lock:
            self._stats.failures += 1
            paused = self._breaker.failed(retry_after_s)
            self._land(ip, flight, None, self._negative_ttl_s)
        flight.set_result(None)
        return paused

    def stats(self) -> GeoStats:
        with self._lock:
            self._stats.entries = len(self._places)
            self._stats.paused = self._breaker.is_open
            return msgspec.structs.replace(self._stats)

    def _take_off(self, ip: str, now: float) -> PendingLookup:
        flight: PendingLookup = Future()
        flight.set_running_or_notify_cancel()  # so that a follower who gives up cancels nothing for the others
        self._flights[ip] = (now, flight)
        self._stats.requests += 1
        return flight

    def _land(self, ip: str, flight: PendingLookup, place: GeoLocation | None, ttl_s: float) -> None:
        under_way = self._flights.get(ip)
        if under_way is not None and under_way[1] is flight:
            self._flights.pop(ip, None)
        self._places.pop(ip, None)
        self._places[ip] = (self._clock() + ttl_s, place)
        while len(self._places) > self._max_entries:
            self._places.popitem(last=False)
