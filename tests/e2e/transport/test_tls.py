"""Trusted certificates over real sockets, blocking and with asyncio."""

from __future__ import annotations

import time

import pytest

from servers.certificates import Authority
from servers.clients import Connect, Serve, get, post
from servers.faulty import (
    Behaviour,
    Close,
    Hang,
    drip,
    garbage,
    half,
    json_answer,
)
from support.late import LATE_S
from targetry.errors import DeadlineError, TransportError

_OK = json_answer({"status": 200})


def test_certificate_of_the_given_authority_is_trusted(
    connect: Connect, serve: Serve, authority: Authority
) -> None:
    client, server = connect(ca_bundle=authority.bundle), serve(_OK, tls=authority.server("localhost"))
    for _ in range(3):
        assert client.send(post(server.url, b"x" * 100_000)).body == b'{"status": 200}'
    assert server.connections == 1


def test_certificate_of_an_unknown_authority_is_rejected(
    connect: Connect, serve: Serve, authority: Authority
) -> None:
    server = serve(_OK, tls=authority.server("localhost"))
    with pytest.raises(TransportError, match="certificate is not trusted"):
        connect().send(get(server.url))
    assert server.requests == []


def test_certificate_of_another_host_is_rejected(
    connect: Connect, serve: Serve, authority: Authority
) -> None:
    server = serve(_OK, tls=authority.server("elsewhere.example"))
    with pytest.raises(TransportError, match="certificate is not trusted"):
        connect(ca_bundle=authority.bundle).send(get(server.url))


def test_authorities_can_come_from_the_environment(
    connect: Connect, serve: Serve, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle))
    monkeypatch.setenv("NO_PROXY", "*")
    server = serve(_OK, tls=authority.server("localhost"))
    assert connect(trust_env=True).send(get(server.url)).status == 200
    with pytest.raises(TransportError, match="certificate is not trusted"):
        connect(trust_env=False).send(get(server.url))


def test_unreadable_certificates_in_the_environment_raise_transport_error(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "no/such/file.pem")
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(TransportError, match="the certificates to trust cannot be read"):
        connect(trust_env=True).send(get("https://localhost"))


def test_server_without_tls_raises_transport_error(connect: Connect, serve: Serve) -> None:
    server = serve(at_connect=garbage(b"HTTP/1.1 400 No\r\n\r\n"))
    with pytest.raises(TransportError, match="TLS failed"):
        connect().send(get(f"https://127.0.0.1:{server.port}"))


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        pytest.param(half(_OK, Hang()), DeadlineError, id="stops-in-the-middle"),
        pytest.param(drip(_OK, 0.05), DeadlineError, id="drips"),
        pytest.param(half(_OK, Close(reset=True)), TransportError, id="reset-in-the-middle"),
        pytest.param(half(_OK, Close()), TransportError, id="closed-in-the-middle"),
    ],
)
def test_faults_over_tls_raise_the_same_errors(
    connect: Connect, serve: Serve, authority: Authority, behaviour: Behaviour, error: type[Exception]
) -> None:
    server = serve(behaviour, tls=authority.server("localhost"))
    started = time.monotonic()
    with pytest.raises(error):
        connect(ca_bundle=authority.bundle).send(
            get(server.url), timeout=0.3 if error is DeadlineError else 60
        )
    assert time.monotonic() - started < LATE_S


def test_idle_tls_connection_closed_by_the_server_is_replaced(
    connect: Connect, serve: Serve, authority: Authority
) -> None:
    client = connect(ca_bundle=authority.bundle)
    server = serve(_OK, (Close(),), _OK, tls=authority.server("localhost"))
    client.send(get(server.url))
    assert client.send(get(server.url)).status == 200
