"""Network faults over real sockets, blocking and with asyncio: typed errors within the timeout."""

from __future__ import annotations

import gzip
import threading
import time
from typing import Any

import pytest

from servers.clients import Connect, Serve, get, post
from servers.faulty import (
    HANG,
    Behaviour,
    Close,
    Hang,
    Send,
    answer,
    drip,
    garbage,
    half,
    json_answer,
)
from servers.threaded import SilentPort, unused_port
from support.late import LATE_S
from targetry.errors import DeadlineError, TransportError

_OK = json_answer({"status": 200})


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(HANG, id="never-answers"),
        pytest.param(drip(_OK, 0.05), id="drips-its-head"),
        pytest.param(
            (*answer(200, headers={"Content-Length": "99"}), *drip((Send(b"x" * 99),), 0.05)),
            id="drips-its-body",
        ),
        pytest.param(half(_OK, Hang()), id="stops-in-the-middle"),
        pytest.param(
            (Send(b"HTTP/1.1 100 Continue\r\n\r\n" * 50, 0.02, 25), Hang()), id="says-continue-for-ever"
        ),
    ],
)
def test_slow_server_ends_at_the_timeout(connect: Connect, serve: Serve, behaviour: Behaviour) -> None:
    client, server = connect(), serve(behaviour)
    started = time.monotonic()
    with pytest.raises(DeadlineError, match=r"no response within 0\.3 s") as caught:
        client.send(post(server.url), timeout=0.3)
    assert time.monotonic() - started < LATE_S
    assert isinstance(caught.value, TimeoutError)
    server.wait_until(lambda: server.open_connections == 0)


def test_server_that_does_not_read_ends_at_the_timeout(connect: Connect, serve: Serve) -> None:
    server = serve(at_connect=(Hang(deaf=True),))
    with pytest.raises(DeadlineError, match="while sending the request"):
        connect().send(post(server.url, b"x" * 30_000_000), timeout=1)


def test_port_that_does_not_accept_ends_at_the_timeout(connect: Connect) -> None:
    with (
        SilentPort() as port,
        pytest.raises(DeadlineError, match=f"while connecting to 127.0.0.1:{port.port}"),
    ):
        connect().send(get(port.url), timeout=0.3)


def test_unfinished_tls_handshake_ends_at_the_timeout(connect: Connect, serve: Serve) -> None:
    url = f"https://127.0.0.1:{serve(HANG).port}"
    client = connect(own_urls=[url])  # which loads the platform's certificates before the request
    with pytest.raises(DeadlineError, match="while negotiating TLS"):
        client.send(get(url), timeout=0.3)


def test_silent_name_server_ends_at_the_timeout(connect: Connect) -> None:
    released = threading.Event()

    def lookup(host: str, port: int) -> list[Any]:
        released.wait(2 * LATE_S)
        return []

    with pytest.raises(DeadlineError, match=r"while looking up acme\.example"):
        connect(lookup=lookup).send(get("https://acme.example"), timeout=0.3)
    released.set()


@pytest.mark.parametrize("timeout", [0.0, -1.0])
def test_timeout_that_is_not_positive_raises_at_once(connect: Connect, serve: Serve, timeout: float) -> None:
    with pytest.raises(DeadlineError):
        connect().send(get(serve().url), timeout=timeout)


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        pytest.param(half(_OK, Close(reset=True)), "reset", id="reset-in-the-middle"),
        pytest.param(half(_OK, Close()), "cut short", id="closed-in-the-middle"),
        pytest.param((Close(),), "cut short", id="closed-without-a-word"),
        pytest.param((Close(reset=True),), "reset", id="reset-without-a-word"),
        pytest.param(garbage(), "not HTTP", id="garbage"),
        pytest.param(garbage(b"\xff" * 200_000), "not HTTP", id="endless-garbage"),
        pytest.param(
            (Send(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000), Hang()), "not HTTP", id="endless-header"
        ),
        pytest.param(
            answer(200, b"plain", {"Content-Encoding": "gzip"}), "cannot be decompressed", id="not-gzip"
        ),
        pytest.param(
            answer(200, gzip.compress(b"x" * 99)[:-9], {"Content-Encoding": "gzip"}),
            "cut short",
            id="half-gzip",
        ),
        pytest.param(
            answer(200, b"?", {"Content-Encoding": "br"}), "compressed as 'br'", id="unknown-encoding"
        ),
    ],
)
def test_invalid_response_raises_transport_error(
    connect: Connect, serve: Serve, behaviour: Behaviour, reason: str
) -> None:
    server = serve(behaviour)
    with pytest.raises(TransportError, match=reason) as caught:
        connect().send(post(server.url))
    assert caught.value.status == 0
    assert f"Reason: http://127.0.0.1:{server.port}: " in str(caught.value)
    assert caught.value.__cause__ is not None
    assert not isinstance(caught.value, DeadlineError)


def test_refused_connection_is_named_in_the_error(connect: Connect) -> None:
    port = unused_port()
    with pytest.raises(TransportError, match=rf"Connection refused \(while connecting to 127.0.0.1:{port}\)"):
        connect().send(get(f"http://127.0.0.1:{port}"))


def test_unknown_host_is_named_in_the_error(connect: Connect) -> None:
    with pytest.raises(TransportError, match="the host name is not known"):
        connect().send(get("http://nowhere.invalid"))


def test_second_address_is_tried_if_the_first_does_not_accept(connect: Connect, serve: Serve) -> None:
    server = serve(_OK)
    with SilentPort() as silent:
        addresses = [(2, 1, 6, "", ("127.0.0.1", port)) for port in (silent.port, unused_port(), server.port)]
        response = connect(lookup=lambda host, port: addresses).send(get("http://acme.example"), timeout=1.5)
    assert response.status == 200


@pytest.mark.parametrize(
    "url",
    ["", "acme.example", "ftp://acme.example", "http://", "http://a:99999", "http://[::1", "http://\udc80/"],
)
def test_invalid_url_raises_transport_error(connect: Connect, url: str) -> None:
    with pytest.raises(TransportError, match="not an HTTP URL"):
        connect().send(get(url))


def test_invalid_header_raises_transport_error_without_its_value(connect: Connect, serve: Serve) -> None:
    with pytest.raises(TransportError, match="cannot be sent as HTTP") as caught:
        connect().send(get(serve().url, authorization="secret\r\nx: y"))
    assert "secret" not in str(caught.value)
