"""Network faults (F3, F4, F7, F12, F13): a call returns or raises one typed error in time.

The client can be closed during each of them. `test_results` has the faults of single responses.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from e2e.client.any_client import Connect
from e2e.client.conftest import async_is_slow, reach, sync_only
from e2e.client.target import DELIVERY, Target, artifact, offers
from servers.certificates import Authority
from servers.faulty import HANG, Behaviour, Close, Hang, Send, Steps, answer, drip, half, json_answer
from servers.threaded import SilentPort, unused_port
from support.late import LATE_S
from targetry import (
    ApiException,
    ClosedError,
    DeadlineError,
    DeliveryRequest,
    ExecuteRequest,
    MboxRequest,
    TargetClient,
    TransportError,
)
from targetry.events import EVENT_NAMES, Event
from targetry.http import AsyncHttpTransport, HttpTransport

HERO = DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="hero")]))
OK = json_answer({"status": 200})
TIMEOUT_MS = 250


def timed(call: Callable[[], object]) -> tuple[ApiException, float]:
    started = time.monotonic()
    with pytest.raises(ApiException) as caught:
        call()
    return caught.value, time.monotonic() - started


def test_port_without_listener(connect: Connect) -> None:
    client = connect(server_domain=f"127.0.0.1:{unused_port()}", timeout=TIMEOUT_MS)
    error, took = timed(lambda: client.get_offers(request=HERO))
    assert isinstance(error, TransportError)
    assert took < LATE_S


def test_port_that_does_not_accept(connect: Connect) -> None:
    with SilentPort() as port:
        client = connect(server_domain=f"127.0.0.1:{port.port}", timeout=TIMEOUT_MS)
        error, took = timed(lambda: client.get_offers(request=HERO))
    assert isinstance(error, DeadlineError)
    assert took < LATE_S


def transports(**options: Any) -> dict[str, Any]:
    return {
        "transport": HttpTransport(trust_env=False, **options),
        "async_transport": AsyncHttpTransport(trust_env=False, **options),
    }


def test_unknown_host_name(connect: Connect) -> None:
    def unknown(host: str, port: int) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    client = connect(server_domain="acme.example", timeout=TIMEOUT_MS, **transports(lookup=unknown))
    error, took = timed(lambda: client.get_offers(request=HERO))
    assert isinstance(error, TransportError)
    assert "the host name is not known" in (error.reason or "")
    assert took < LATE_S


def test_silent_name_server(connect: Connect) -> None:
    released = threading.Event()

    def silent(host: str, port: int) -> list[Any]:
        released.wait(2 * LATE_S)
        return []

    client = connect(server_domain="acme.example", timeout=TIMEOUT_MS, **transports(lookup=silent))
    error, took = timed(lambda: client.get_offers(request=HERO))
    released.set()
    assert isinstance(error, DeadlineError)
    assert took < LATE_S


def test_untrusted_certificate(connect: Connect, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with Target(tls=authority.server("localhost")) as secure:
        options = {"server_domain": f"localhost:{secure.port}", "secure": True, "timeout": 5000}
        error, _ = timed(lambda: connect(**options).get_offers(request=HERO))
        assert isinstance(error, TransportError)
        assert "certificate" in (error.reason or "")
        assert secure.requests == []
        result = connect(**options, ca_bundle=authority.bundle).get_offers(request=HERO)
        assert result["response"].status == 200
        with Target(tls=authority.server("other.example")) as other:
            options = {**options, "server_domain": f"localhost:{other.port}"}
            error, _ = timed(lambda: connect(**options, ca_bundle=authority.bundle).get_offers(request=HERO))
            assert "certificate" in (error.reason or "")


def test_server_without_tls(connect: Connect, target: Target) -> None:
    client = connect(secure=True, timeout=TIMEOUT_MS)
    _, took = timed(lambda: client.get_offers(request=HERO))
    assert took < LATE_S


SLOW: dict[str, Steps] = {
    "never answers": HANG,
    "does not read": (Hang(deaf=True),),
    "drips its answer": drip(OK, 0.02),
    "stops half way": half(OK, Hang()),
}


@pytest.mark.parametrize("behaviour", SLOW.values(), ids=SLOW)
def test_server_that_is_too_slow(behaviour: Behaviour, connect: Connect, target: Target) -> None:
    target.on(DELIVERY, behaviour)
    client = connect(timeout=TIMEOUT_MS)
    error, took = timed(lambda: client.get_offers(request=HERO))
    assert isinstance(error, DeadlineError)
    assert TIMEOUT_MS / 1000 <= took < LATE_S
    started = time.monotonic()
    client.close()
    assert time.monotonic() - started < LATE_S


@sync_only
def test_all_connections_in_use(connect: Connect, target: Target) -> None:
    """Check that a call waits for a free connection until its timeout."""
    target.on(DELIVERY, HANG)
    client = connect(max_connections=1, timeout=TIMEOUT_MS)
    errors: list[ApiException] = []
    threads = [
        threading.Thread(target=lambda: errors.append(timed(lambda: client.get_offers(request=HERO))[0]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LATE_S)
    assert [type(error) for error in errors] == [DeadlineError] * 4


def test_connections_that_were_closed_while_idle(connect: Connect) -> None:
    with Target(idle_seconds=0.02) as impatient:
        client = connect(server_domain=impatient.host)
        for _ in range(3):
            assert client.get_offers(request=HERO)["response"].status == 200
            impatient.wait_until(lambda: impatient.open_connections == 0)
        assert impatient.connections == 3


def test_faults_in_turn_do_not_affect_later_calls(connect: Connect, target: Target) -> None:
    """Check that a fault does not affect the next call."""
    faults: list[Behaviour] = [
        HANG,
        half(OK, Close()),
        half(OK, Close(reset=True)),
        (Close(),),
        answer(500),
        answer(429, headers={"Retry-After": "60"}),
        answer(200, b"<html>"),
        (*OK, *OK),
        answer(200, b"{}", {"Content-Length": "1000000"}),
        answer(200, b"{}", {"Transfer-Encoding": "chunked"}),
    ]
    client = connect(timeout=1000)
    for fault in faults:
        target.on(DELIVERY, fault)
        if fault != (*OK, *OK):
            timed(lambda: client.get_offers(request=HERO))
        target.on(DELIVERY, offers)
        result = client.get_offers(request=HERO, session_id="s1")
        assert result["response"].execute.mboxes[0].options[0].content == {"title": "remote hero"}


def test_redirect_is_not_followed(connect: Connect, target: Target) -> None:
    with Target() as elsewhere:
        target.on(DELIVERY, answer(307, headers={"Location": f"{elsewhere.url}{DELIVERY}"}))
        error, _ = timed(lambda: connect().get_offers(request=HERO))
        assert error.status == 307
        assert elsewhere.requests == []


def test_unwritable_cache_folder_only_prevents_the_copy(
    on_device: Connect, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    client = on_device(artifact_cache_dir=tmp_path / "file" / "cache", notification_spool=tmp_path / "file")
    assert client.get_offers(request=HERO)["response"].status == 200
    assert client.flush()
    assert sum("cannot be" in line for line in caplog.messages) >= 1


@pytest.mark.parametrize("name", EVENT_NAMES)
def test_errors_of_handlers_have_no_effect(name: str, on_device: Connect, target: Target) -> None:
    emitted = threading.Event()

    def broken(_: object) -> None:
        emitted.set()
        raise RuntimeError("a handler is broken")

    target.on(DELIVERY, answer(400), offers)
    client = on_device(events={name: broken}, decisioning_method="on-device")
    assert client.get_offers(request=HERO)["response"].status == 200
    client.flush()
    happens = {
        "client_ready",
        "artifact_download_succeeded",
        "geo_location_updated",
        "send_notification_error",
    }
    if name in happens:
        assert emitted.wait(10)
        client.get_offers(request=HERO)
        client.flush()
        assert client.client.stats().notifications.sent == 1
    assert client.client.stats().artifact.failures == {}  # type: ignore[union-attr]


def test_blocking_handler_delays_neither_decisions_nor_close(on_device: Connect, target: Target) -> None:
    target.on(DELIVERY, answer(400))
    blocked, released = threading.Event(), threading.Event()

    def block(_: object) -> None:
        blocked.set()
        released.wait(2 * LATE_S)

    client = on_device(events={"send_notification_error": block, "client_ready": block})
    client.get_offers(request=HERO)
    assert blocked.wait(10)
    started = time.monotonic()
    for _ in range(50):
        client.get_offers(request=HERO)
    client.close(0.1)
    assert time.monotonic() - started < LATE_S
    released.set()


def test_blocking_handler_does_not_delay_the_start(on_device: Connect) -> None:
    released = threading.Event()
    started = time.monotonic()
    client = on_device(events={"artifact_download_succeeded": lambda _: released.wait(2 * LATE_S)})
    assert client.get_offers(request=HERO)["response"].status == 200
    assert time.monotonic() - started < LATE_S
    released.set()


def test_handlers_can_call_the_client(target: Target) -> None:
    seen: list[Any] = []
    made, finished = threading.Event(), threading.Event()

    def call_back(event: Event) -> None:
        made.wait(10)
        seen.append(client.get_offers(request=HERO)["meta"]["decisioning_method"])
        result = client.get_offers(request=HERO, decisioning_method="server-side")
        seen.append(result["meta"]["decisioning_method"])
        seen.append(client.flush(10))
        client.close()
        client.close()
        finished.set()

    options = {**reach(target), "decisioning_method": "on-device", "artifact_payload": artifact()}
    client = TargetClient.create(options, polling_interval=0, events={"client_ready": call_back})
    made.set()
    assert finished.wait(10)
    assert seen == ["on-device", "server-side", True]
    with pytest.raises(ClosedError):
        client.get_offers(request=HERO)


@async_is_slow
def test_endpoint_down_until_the_queue_is_full(on_device: Connect, target: Target) -> None:
    """Check for bounded memory, exact counters, and delivery of the rest after recovery."""
    target.on(DELIVERY, answer(503, headers={"Retry-After": "0"}))
    client = on_device(notification_queue_limit=20)
    for _ in range(200):
        client.get_offers(request=HERO)
    stats = client.client.stats().notifications
    assert stats.accepted == 200
    assert stats.pending <= 20
    target.on(DELIVERY, offers)
    assert client.flush(3 * LATE_S)  # the longest wait for a retry is 30 seconds
    stats = client.client.stats().notifications
    assert stats.sent + stats.dropped["queue_full"] == 200
    processed = [one["id"] for one in target.notifications]
    assert len(set(processed)) >= stats.sent


def test_surplus_bytes_are_logged_once_without_visitor_data(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    twice = json_answer({"status": 200, "id": {"tntId": "alice"}}) * 2
    with Target() as server:
        server.on(DELIVERY, (Send(b"".join(step.data for step in twice if isinstance(step, Send))),))
        client = connect(server_domain=f"127.0.0.1:{server.port}")
        for _ in range(3):
            client.get_offers(request=HERO)
    lines = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(lines) == 1
    assert f"http://127.0.0.1:{server.port}" in lines[0]
    assert "alice" not in lines[0]
