"""Runtime of a client: start, stop, counts, and cleanup after a wrong option."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.client.listener import Listener
from e2e.client.target import artifact
from support.late import LATE_S
from support.mmdb_writer import mmdb
from support.thread_limit import refusing_threads
from targetry import TargetClient
from targetry._client.call_options import offer_settings
from targetry._client.options import client_settings
from targetry._client.runtime import ClientRuntime
from targetry.errors import ArtifactError, ClosedError, OptionError, TransportError
from targetry.geo.async_lookup import AsyncGeoDatabase, AsyncGeoLookup
from targetry.geo.lookup import GeoLookup
from targetry.geo.maxmind import GeoDatabase
from targetry.http.protocol import HttpRequest, HttpResponse
from targetry.models import DeliveryRequest, ExecuteRequest, Geo, MboxRequest
from targetry.testing import AsyncFakeTransport, FakeTransport, answer

DEVICE = {"decisioning_method": "on-device", "artifact_payload": artifact(), "polling_interval": 0}


@pytest.fixture
def made() -> Iterator[list[ClientRuntime]]:
    made: list[ClientRuntime] = []
    yield made
    for runtime in made:
        runtime.close(1)


def runtime_of(**options: Any) -> ClientRuntime:
    transport = options.pop("transport", None) or FakeTransport(by=lambda _: answer({}))
    given = {"client": "acme", "organization_id": "A@AdobeOrg", "transport": transport, **options}
    return ClientRuntime(client_settings(given, {}))


def decide(runtime: ClientRuntime, mbox: str = "hero") -> None:
    runtime.open()
    request = DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name=mbox)]))
    pipeline = runtime.pipeline
    pipeline.decide(
        pipeline.prepare_call(offer_settings({"request": request}, {}, runtime.options.decisioning_method))
    )


class Threads:
    """Those that were started since; tests before this one may have left some."""

    def __init__(self) -> None:
        self._before = set(threading.enumerate())

    def now(self) -> set[threading.Thread]:
        return {one for one in threading.enumerate() if one not in self._before}

    def at_last(self) -> set[threading.Thread]:
        """Return the threads that do not end after they were stopped."""
        deadline = time.monotonic() + 60
        while self.now() and time.monotonic() < deadline:
            time.sleep(0.005)
        return self.now()


@pytest.fixture
def threads() -> Threads:
    return Threads()


# Parts


def test_server_side_client_has_neither_engine_nor_geo() -> None:
    runtime = runtime_of()
    assert runtime.engine is None
    assert runtime.geo() is None
    assert runtime.async_geo(AsyncFakeTransport()) is None
    stats = runtime.stats()
    assert (stats.artifact, stats.geo) == (None, None)
    runtime.close(1)


def test_on_device_client_looks_up_locations_online_or_in_its_database(
    tmp_path: Path, made: list[ClientRuntime]
) -> None:
    file = tmp_path / "city.mmdb"
    file.write_bytes(mmdb({"12.21.0.0/16": {"city": {"names": {"en": "Rome"}}}}))
    made += [
        runtime_of(**DEVICE),
        runtime_of(**DEVICE, geo_database=file),
        runtime_of(**DEVICE, geo_database=file),
    ]
    assert isinstance(made[0].geo(), GeoLookup)
    assert isinstance(made[0].async_geo(AsyncFakeTransport()), AsyncGeoLookup)
    assert isinstance(made[1].geo(), GeoDatabase)
    assert isinstance(made[2].async_geo(AsyncFakeTransport()), AsyncGeoDatabase)
    assert made[1].stats().geo is None


def test_database_is_closed_with_the_client(tmp_path: Path) -> None:
    file = tmp_path / "city.mmdb"
    file.write_bytes(mmdb({"12.21.0.0/16": {"city": {"names": {"en": "Rome"}}}}))
    runtime = runtime_of(**DEVICE, geo_database=file)
    database = runtime.geo()
    assert database is not None
    address = Geo(ip_address="12.21.1.40")
    found = database.resolve(address, enabled=True)
    assert found is not None
    assert found.city == "Rome"
    runtime.close(1)
    assert database.resolve(address, enabled=True) == address


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"artifact_payload": "{"}, ArtifactError),
        ({"artifact_payload": None, "artifact_location": "/nowhere/rules.json"}, OptionError),
        ({"geo_database": "/nowhere/city.mmdb"}, OptionError),
    ],
    ids=["payload", "file", "database"],
)
def test_invalid_options_start_nothing(
    wrong: dict[str, Any], error: type[Exception], tmp_path: Path, threads: Threads
) -> None:
    """Even with unsent reports on disk, which a client sets about as soon as it is made."""
    refuse = FakeTransport(by=lambda _: TransportError(reason="down"))
    first = runtime_of(**DEVICE, notification_spool=tmp_path, transport=refuse)
    decide(first)
    first.flush(0.05)
    first.close(0.05)
    assert first.stats().notifications.pending == 1
    assert threads.at_last() == set()
    with pytest.raises(error):
        runtime_of(**{**DEVICE, "notification_spool": tmp_path, "transport": refuse, **wrong})
    assert threads.now() == set()


# Events


def test_ready_is_emitted_once_after_the_start() -> None:
    emitted = Listener()
    runtime = runtime_of(**DEVICE, events=emitted.handlers)
    runtime.open()
    assert emitted.events == []
    emitted.wait_for("client_ready")
    runtime.close(1)
    assert emitted.names == ["client_ready"]


def test_client_closed_at_once_emits_no_ready(threads: Threads) -> None:
    emitted = Listener()
    runtime = runtime_of(events=emitted.handlers)
    runtime.open()
    runtime.close(1)
    assert threads.at_last() == set()
    assert emitted.events == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of threads")
def test_client_ready_refused_a_thread_is_emitted_at_a_later_call() -> None:
    emitted = Listener()
    runtime = runtime_of(events=emitted.handlers)
    with refusing_threads():
        runtime.open()
        runtime.check()
        assert runtime.needs_check
    runtime.check()
    assert not runtime.needs_check
    emitted.wait_for("client_ready")
    assert runtime.stats().threads_refused >= 2
    runtime.close(1)
    with pytest.raises(ClosedError):
        runtime.check()


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of threads")
def test_polling_refused_a_thread_begins_at_a_later_call() -> None:
    transport = FakeTransport(by=lambda _: answer(artifact()))
    runtime = runtime_of(
        decisioning_method="on-device", transport=transport, cdn_base_path="http://cdn.example"
    )
    assert runtime.engine is not None
    with refusing_threads():
        runtime.open()
        assert runtime.engine.in_use()[0] is None
    deadline = time.monotonic() + 60
    while runtime.engine.in_use()[0] is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert runtime.engine.is_ready()
    runtime.close(1)


def test_client_without_handlers_starts_no_thread_for_ready(threads: Threads) -> None:
    runtime = runtime_of()
    runtime.open()
    assert threads.now() == set()
    runtime.close(1)


def test_handlers_that_fail_are_counted() -> None:
    def broken(_: object) -> None:
        raise RuntimeError

    runtime = runtime_of(events={"client_ready": broken})
    for _ in range(3):
        runtime.events.emit("client_ready")
    assert runtime.stats().handler_failures == 3
    runtime.close(1)


# Reports


def test_reports_are_sent_with_the_clients_transport_timeout_and_headers() -> None:
    transport = FakeTransport(by=lambda _: answer({}))
    runtime = runtime_of(**DEVICE, transport=transport, timeout=1500)
    decide(runtime)
    assert runtime.flush(10)
    (asked,) = transport.asked
    assert asked.timeout == 1.5
    assert asked.request.headers["X-EXC-SDK"] == "AdobeTargetPython"
    assert runtime.stats().notifications.sent == 1
    runtime.close(1)


def test_child_process_begins_without_its_parents_telemetry() -> None:
    runtime = runtime_of(**DEVICE, send_notification_func=lambda _: None)
    decide(runtime, "roman")  # nothing is shown, so nothing is reported, and the measurement waits
    assert len(runtime.pipeline.telemetry) == 1
    runtime.after_fork()
    assert len(runtime.pipeline.telemetry) == 0
    runtime.close(1)


# The end


def test_close_ends_everything_and_can_be_called_twice(threads: Threads) -> None:
    transport = FakeTransport(by=lambda _: answer(status=503))
    runtime = runtime_of(
        decisioning_method="on-device",
        transport=transport,
        cdn_base_path="http://cdn.example",
        maximum_wait_ready=1,
    )
    runtime.open()
    assert runtime.engine is not None
    runtime.close(1)
    runtime.close(1)
    assert runtime.is_closed
    assert not transport.closed  # it is the caller's
    assert threads.at_last() == set()


def test_transport_of_its_own_is_closed_with_the_client() -> None:
    runtime = ClientRuntime(client_settings({"client": "acme", "organization_id": "A@AdobeOrg"}, {}))
    runtime.close(1)
    with pytest.raises(Exception, match="the transport was closed"):
        runtime.transport.send(HttpRequest("GET", "http://127.0.0.1:9", {}), timeout=1)


class Stuck:
    """Transport that keeps a reference to its user."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def send(self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None) -> HttpResponse:
        self.released.wait(2 * LATE_S)
        raise TransportError(reason="released")

    def close(self) -> None: ...


@pytest.mark.parametrize("timeout", [0, 0.1])
def test_close_ends_at_its_timeout_in_any_case(timeout: float) -> None:
    stuck = Stuck()
    runtime = runtime_of(
        decisioning_method="on-device",
        transport=stuck,
        cdn_base_path="http://cdn.example",
        maximum_wait_ready=1,
    )
    runtime.open()
    started = time.monotonic()
    runtime.close(timeout)
    assert time.monotonic() - started < LATE_S
    stuck.released.set()


def test_subscribed_handler_hears_events_until_it_is_unsubscribed() -> None:
    heard: list[Any] = []
    with TargetClient.create(client="acme", organization_id="1@AdobeOrg") as client:
        subscription = client.subscribe("client_ready", lambda event: heard.append(event["type"]))
        client.event_emitter("client_ready")
        client.unsubscribe(subscription)
        client.unsubscribe("unknown")
        client.event_emitter("client_ready")
    assert heard == ["client_ready"]


def test_subscription_to_an_unknown_event_raises() -> None:
    with TargetClient.create(client="acme", organization_id="1@AdobeOrg") as client:
        with pytest.raises(OptionError, match="client_ready"):
            client.subscribe("client_redy", print)
        with pytest.raises(OptionError, match="argument"):
            client.subscribe("client_ready", lambda a, b: None)
