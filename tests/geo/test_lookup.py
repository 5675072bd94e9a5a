from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.background_fakes import REFUSED, Answer, AsyncNetwork, Clock, Lines, Listener, Network, answer
from support.cases import each_case
from targetry.errors import ApiException
from targetry.geo.async_lookup import AsyncGeoLookup
from targetry.geo.location import GeoLocation
from targetry.geo.lookup import GeoLookup, merge, needs_lookup
from targetry.http.protocol import HttpRequest, HttpResponse
from targetry.models import Geo

URL = "https://cdn.example/v1/geo"
IP = "12.21.1.40"
ROME = answer(200, b'{"x-geo-city": "ROME", "x-geo-country-code": "IT", "x-geo-latitude": "41.9"}')
NOWHERE = answer(200, b"{}")

# Whether to ask


@each_case(
    "geo, address",
    [
        (Geo(ip_address=IP), IP),
        (Geo(ip_address=f"  {IP}\t"), IP),
        (Geo(ip_address="2001:db8::1"), "2001:db8::1"),
        (Geo(ip_address="2001:db8::1%eth0"), "2001:db8::1"),
        (Geo(ip_address="::ffff:12.21.1.40"), "::ffff:12.21.1.40"),
        (Geo(ip_address=IP, zip="94100"), IP),
        (Geo(ip_address="unknownIpAddress"), "unknownIpAddress"),
        (Geo(ip_address="UnknownIpAddress"), None),
        (Geo(ip_address="999.1.1.1"), None),
        (Geo(ip_address="2001:db8::1%eth0\r\nx: y"), None),
        (Geo(ip_address=""), None),
        (Geo(), None),
        (None, None),
        (Geo(ip_address=IP, latitude=0.0), None),
        (Geo(ip_address=IP, longitude=1.0), None),
        (Geo(ip_address=IP, country_code="IT"), None),
        (Geo(ip_address=IP, state_code=""), None),
        (Geo(ip_address=IP, city="Rome"), None),
    ],
    ids=repr,
)
def test_lookup_is_needed_only_for_an_address_alone(geo: Geo | None, address: str | None) -> None:
    assert needs_lookup(geo, True) == address
    assert needs_lookup(geo, False) is None


@given(st.text() | st.from_regex(r"\A[0-9a-fA-F:.%\s]{1,40}\Z"))
def test_address_to_look_up_is_a_valid_header_value(ip_address: str) -> None:
    address = needs_lookup(Geo(ip_address=ip_address), True)
    assert address is None or (address.isascii() and address.isprintable() and " " not in address)


# merging


def test_location_is_merged_into_a_copy() -> None:
    geo = Geo(ip_address=IP, zip="00100")
    merged = merge(geo, GeoLocation(41.9, 12.5, "IT", "RM", "ROME", "12.21.1.41"))
    assert merged == Geo("12.21.1.41", 41.9, 12.5, "IT", "RM", "ROME", "00100")
    assert geo == Geo(ip_address=IP, zip="00100")


def test_geo_is_unchanged_without_location() -> None:
    geo = Geo(ip_address=IP)
    assert merge(geo, None) is geo


@pytest.mark.parametrize("address", ["unknownIpAddress", "999.1.1.1"])
def test_invalid_address_is_removed(address: str) -> None:
    assert merge(Geo(ip_address=address, city="Rome"), None) == Geo(city="Rome")
    assert merge(Geo(ip_address=address), GeoLocation(city="ROME")) == Geo(city="ROME")


# Asking, by both twins


class Twin:
    """A synchronous or asynchronous lookup with one interface."""

    def __init__(self, kind: str, *answers: Answer, **settings: Any) -> None:
        self.listener, self.lines, self.clock = Listener(), Lines(), Clock()
        common = {
            "url": URL,
            "emit": self.listener,
            "log": self.lines,
            "clock": self.clock,
            "random": lambda: 0.0,
        }
        self._lookup: GeoLookup | AsyncGeoLookup
        if kind == "sync":
            self.network = Network(*answers)
            self._lookup = GeoLookup(transport=self.network, **{**common, **settings})
        else:
            behind = AsyncNetwork(*answers)
            self.network = behind.network
            self._lookup = AsyncGeoLookup(transport=behind, **{**common, **settings})

    def resolve(self, geo: Geo | None, enabled: bool = True) -> Geo | None:
        if isinstance(self._lookup, GeoLookup):
            return self._lookup.resolve(geo, enabled=enabled)
        return asyncio.run(self._lookup.resolve(geo, enabled=enabled))

    def city(self, ip: str = IP) -> str | None:
        geo = self.resolve(Geo(ip_address=ip))
        assert geo is not None
        return geo.city

    @property
    def stats(self) -> Any:
        return self._lookup.stats()


Make = Callable[..., Twin]


@pytest.fixture(params=["sync", "async"])
def twin(request: pytest.FixtureRequest) -> Make:
    return lambda *answers, **settings: Twin(request.param, *answers, **settings)


def test_address_is_sent_in_a_header_and_its_location_is_returned(twin: Make) -> None:
    lookup = twin(ROME, timeout_s=0.7)
    assert lookup.resolve(Geo(ip_address=IP)) == Geo(IP, 41.9, country_code="IT", city="ROME")
    assert lookup.network.requests == [HttpRequest("GET", URL, {"x-forwarded-for": IP})]
    assert lookup.network.limits == [(0.7, 65536)]


def test_unknown_address_is_sent_without_header(twin: Make) -> None:
    lookup = twin(answer(200, b'{"x-geo-city": "ROME", "x-forwarded-for": "12.21.1.40"}'))
    assert lookup.resolve(Geo(ip_address="unknownIpAddress")) == Geo(IP, city="ROME")
    assert lookup.network.requests == [HttpRequest("GET", URL, {})]


def test_location_is_emitted_as_a_geo(twin: Make) -> None:
    lookup = twin(ROME)
    geo = lookup.resolve(Geo(ip_address=IP))
    assert lookup.listener.events == [("geo_location_updated", {"geo_context": geo})]


@pytest.mark.parametrize(
    ("geo", "enabled"),
    [(None, True), (Geo(ip_address=IP), False), (Geo(ip_address=IP, city="Oslo"), True)],
    ids=["no geo", "disabled", "caller knows"],
)
def test_nothing_is_sent_without_need(geo: Geo | None, enabled: bool, twin: Make) -> None:
    lookup = twin(ROME)
    assert lookup.resolve(geo, enabled) is geo
    assert lookup.network.requests == []


def test_location_is_cached_for_an_hour(twin: Make) -> None:
    lookup = twin(ROME)
    for age in (0, 3599, 1):
        lookup.clock.advance(age)
        assert lookup.city() == "ROME"
    assert len(lookup.network.requests) == 2
    assert len(lookup.listener.events) == 2
    assert (lookup.stats.requests, lookup.stats.hits, lookup.stats.entries) == (2, 1, 1)


def test_absence_of_a_location_is_cached_for_half_a_minute(twin: Make) -> None:
    lookup = twin(NOWHERE, ROME)
    geo = Geo(ip_address=IP)
    for age in (0, 29):
        lookup.clock.advance(age)
        assert lookup.resolve(geo) is geo
    assert lookup.listener.events == []
    lookup.clock.advance(1)
    assert lookup.city() == "ROME"


def test_least_recently_used_address_is_evicted_at_the_limit(twin: Make) -> None:
    lookup = twin(ROME, max_entries=2)
    for ip in ("1.1.1.1", "2.2.2.2", "1.1.1.1", "3.3.3.3"):
        lookup.city(ip)
    assert lookup.stats.entries == 2
    lookup.city("1.1.1.1")
    assert len(lookup.network.requests) == 3
    lookup.city("2.2.2.2")
    assert len(lookup.network.requests) == 4


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (answer(503, reason="Busy"), f"503 status code while fetching geo data at: {URL} - message: Busy"),
        (answer(302), f"302 status code while fetching geo data at: {URL} - message: "),
        (REFUSED, f"Exception while fetching geo data at: {URL} - error: connection refused"),
        (OSError("boom"), f"Exception while fetching geo data at: {URL} - error: boom"),
    ],
    ids=["503", "302", "no connection", "foreign"],
)
def test_failure_keeps_the_callers_geo_and_is_logged_and_emitted(
    failure: Answer, text: str, twin: Make
) -> None:
    lookup = twin(failure)
    geo = Geo(ip_address=IP)
    assert lookup.resolve(geo) is geo
    assert lookup.lines.errors == [text]
    payload = lookup.listener.last("geo_lookup_failed")
    assert (payload["ip_address"], payload["url"]) == (IP, URL)
    error = payload["error"]
    assert error is failure or (isinstance(error, ApiException) and error.reason == text)
    assert lookup.stats.failures == 1


def test_failed_address_is_not_requested_for_half_a_minute(twin: Make) -> None:
    lookup = twin(REFUSED)
    for age in (0, 29, 1):
        lookup.clock.advance(age)
        assert lookup.city() is None
    assert len(lookup.network.requests) == 2


def test_unavailable_service_is_not_requested_by_every_call(twin: Make) -> None:
    lookup = twin(REFUSED)
    for host in range(100):
        assert lookup.city(f"203.0.113.{host}") is None
    assert len(lookup.network.requests) == 3
    assert (lookup.stats.skipped, lookup.stats.paused) == (97, True)
    assert lookup.lines.errors[-1] == f"Geo lookups at {URL} are paused: the service does not respond"
    lookup.network.then(ROME)
    lookup.clock.advance(1)
    assert lookup.city("203.0.113.200") == "ROME"
    assert not lookup.stats.paused


def test_retry_after_of_a_busy_service_is_obeyed(twin: Make) -> None:
    lookup = twin(answer(429, retry_after="40"))
    for host in range(3):
        lookup.city(f"203.0.113.{host}")
    lookup.clock.advance(39)
    lookup.city("203.0.113.201")
    assert len(lookup.network.requests) == 3
    lookup.clock.advance(1)
    lookup.city("203.0.113.201")
    assert len(lookup.network.requests) == 4


def test_failures_are_logged_once_a_minute(twin: Make) -> None:
    lookup = twin(REFUSED)
    for second in range(120):
        lookup.clock.time = 1000.0 + second
        lookup.city(f"203.0.113.{second}")
    assert len([line for line in lookup.lines.errors if "Exception" in line]) == 2


# Many at once


class Gate:
    """A transport that responds when opened, and counts the callers that wait."""

    def __init__(self, response: HttpResponse) -> None:
        self._response = response
        self.asked, self.opened = threading.Event(), threading.Event()

    def __call__(self, _: HttpRequest) -> HttpResponse:
        self.asked.set()
        assert self.opened.wait(10)
        return self._response


def lookup_of(network: Network, **settings: Any) -> GeoLookup:
    return GeoLookup(transport=network, url=URL, emit=Listener(), log=Lines(), **settings)


def test_64_threads_share_one_request_for_an_address() -> None:
    gate = Gate(ROME)
    network = Network(gate)
    lookup = lookup_of(network, timeout_s=10)
    found: list[GeoLocation | None] = []
    threads = [threading.Thread(target=lambda: found.append(lookup.find(IP))) for _ in range(64)]
    for thread in threads:
        thread.start()
    assert gate.asked.wait(10)
    while lookup.stats().shared < 63:
        assert threads[0].is_alive()
    gate.opened.set()
    for thread in threads:
        thread.join(10)
    assert [place and place.city for place in found] == ["ROME"] * 64
    assert len(network.requests) == 1


def test_wait_for_the_request_of_another_caller_has_a_limit() -> None:
    gate = Gate(ROME)
    lookup = lookup_of(Network(gate), timeout_s=0.02)
    leader = threading.Thread(target=lookup.find, args=(IP,))
    leader.start()
    assert gate.asked.wait(10)
    assert lookup.find(IP) is None
    gate.opened.set()
    leader.join(10)
    place = lookup.find(IP)
    assert place is not None
    assert place.city == "ROME"


def test_lost_request_is_repeated() -> None:
    clock = Clock()
    gate = Gate(ROME)
    network = Network(gate)
    lookup = lookup_of(network, timeout_s=0.01, clock=clock)
    leader = threading.Thread(target=lookup.find, args=(IP,))
    leader.start()
    assert gate.asked.wait(10)
    clock.advance(2)
    network.then(ROME)
    place = lookup.find(IP)
    assert place is not None
    assert place.city == "ROME"
    gate.opened.set()
    leader.join(10)


def test_interrupted_caller_releases_the_callers_that_wait() -> None:
    def interrupted(_: HttpRequest) -> HttpResponse:
        raise KeyboardInterrupt

    lookup = lookup_of(Network(interrupted))
    with pytest.raises(KeyboardInterrupt):
        lookup.find(IP)
    assert lookup.find(IP) is None
    assert lookup.stats().failures == 1


class AsyncGate:
    def __init__(self, response: HttpResponse) -> None:
        self._response = response
        self.requests = 0
        self.asked, self.opened = asyncio.Event(), asyncio.Event()

    async def send(
        self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None
    ) -> HttpResponse:
        self.requests += 1
        self.asked.set()
        await self.opened.wait()
        return self._response

    async def aclose(self) -> None: ...


def async_lookup_of(gate: AsyncGate, **settings: Any) -> AsyncGeoLookup:
    return AsyncGeoLookup(transport=gate, url=URL, emit=Listener(), log=Lines(), **settings)


def test_64_tasks_share_one_request_for_an_address() -> None:
    async def run() -> None:
        gate = AsyncGate(ROME)
        lookup = async_lookup_of(gate, timeout_s=10)
        tasks = [asyncio.create_task(lookup.find(IP)) for _ in range(64)]
        await gate.asked.wait()
        gate.opened.set()
        assert [place and place.city for place in await asyncio.gather(*tasks)] == ["ROME"] * 64
        assert gate.requests == 1

    asyncio.run(run())


def test_cancelled_task_does_not_cancel_the_request_of_others() -> None:
    async def run() -> None:
        gate = AsyncGate(ROME)
        lookup = async_lookup_of(gate, timeout_s=10)
        leader = asyncio.create_task(lookup.find(IP))
        await gate.asked.wait()
        follower = asyncio.create_task(lookup.find(IP))
        await asyncio.sleep(0)
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        gate.opened.set()
        place = await follower
        assert place is not None
        assert place.city == "ROME"
        assert gate.requests == 1

    asyncio.run(run())


def test_task_waits_at_most_the_timeout() -> None:
    async def run() -> None:
        gate = AsyncGate(ROME)
        lookup = async_lookup_of(gate, timeout_s=0.01)
        assert await lookup.find(IP) is None
        gate.opened.set()

    asyncio.run(run())


def test_closed_event_loop_releases_the_address_for_the_next_lookup() -> None:
    gates: list[AsyncGate] = []

    class Fresh:
        async def send(
            self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None
        ) -> HttpResponse:
            gates.append(AsyncGate(ROME))
            if len(gates) > 1:
                gates[-1].opened.set()
            return await gates[-1].send(request, timeout=timeout)

        async def aclose(self) -> None: ...

    lookup = AsyncGeoLookup(
        transport=Fresh(), url=URL, emit=Listener(), log=Lines(), timeout_s=0.01, negative_ttl_s=0
    )
    assert asyncio.run(lookup.find(IP)) is None
    place = asyncio.run(lookup.find(IP))
    assert place is not None
    assert place.city == "ROME"


LOCAL = (
    "10.1.2.3",
    "172.31.0.1",
    "192.168.1.1",
    "127.0.0.1",
    "169.254.1.1",
    "100.64.0.1",
    "0.0.0.0",
    "::1",
    "fe80::1%eth0",
    "fd00::1",
    "::ffff:10.0.0.1",
)


def test_local_address_is_never_sent_anywhere(twin: Make) -> None:
    lookup = twin(ROME)
    for address in LOCAL:
        assert lookup.city(address) is None
    assert lookup.network.requests == []
    assert lookup.stats.requests == 0


@pytest.mark.parametrize(
    "address", ["172.32.0.1", "100.128.0.1", "8.8.8.8", "2001:4860::8", "::ffff:8.8.8.8"]
)
def test_address_next_to_the_local_ones_is_looked_up(twin: Make, address: str) -> None:
    assert twin(ROME).city(address) == "ROME"
