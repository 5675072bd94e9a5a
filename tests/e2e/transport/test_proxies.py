"""Requests through a proxy over real sockets, blocking and with asyncio."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from servers.certificates import Authority
from servers.clients import Connect, Serve, get, post
from servers.faulty import (
    HANG,
    answer,
    json_answer,
)
from servers.proxy import ForwardProxy, SocksProxy
from targetry.errors import DeadlineError, OptionError, TransportError

_OK = json_answer({"status": 200})


def test_proxy_is_used_for_http(connect: Connect, serve: Serve) -> None:
    server = serve(_OK)
    with ForwardProxy() as proxy:
        response = connect(proxy=proxy.url).send(post(f"{server.url}/a?b=c"))
    assert response.status == 200
    assert proxy.asked == [f"POST {server.url}/a?b=c"]
    assert server.requests[0].target == "/a?b=c"


def test_proxy_is_a_tunnel_for_https(connect: Connect, serve: Serve, authority: Authority) -> None:
    server = serve(_OK, tls=authority.server("localhost"))
    with ForwardProxy("me", "p@ss:word") as proxy:
        client = connect(proxy=f"http://me:p%40ss%3Aword@127.0.0.1:{proxy.port}", ca_bundle=authority.bundle)
        for _ in range(3):
            assert client.send(post(server.url)).status == 200
    assert proxy.asked == [f"CONNECT localhost:{server.port}"]


def test_https_proxy_is_a_tunnel_in_a_tunnel(connect: Connect, serve: Serve, authority: Authority) -> None:
    server = serve(answer(200, b"x" * 200_000), tls=authority.server("localhost"))
    with ForwardProxy(tls=authority.server("localhost")) as proxy:
        client = connect(proxy=proxy.url, ca_bundle=authority.bundle)
        for _ in range(2):
            assert client.send(post(server.url, b"y" * 100_000)).body == b"x" * 200_000
    assert server.connections == 1


def test_refusing_proxy_is_named_without_its_password(
    connect: Connect, serve: Serve, authority: Authority
) -> None:
    with ForwardProxy("me", "right") as proxy:
        client = connect(proxy=f"http://me:wrong@127.0.0.1:{proxy.port}")
        with pytest.raises(TransportError, match="the proxy refused: 407") as caught:
            client.send(get("https://acme.example"))
        assert client.send(get("http://acme.example")).status == 407
    assert "wrong" not in f"{caught.value}{client.transport!r}"


def test_silent_proxy_ends_at_the_timeout(connect: Connect, serve: Serve) -> None:
    silent = serve(HANG)
    with pytest.raises(DeadlineError):
        connect(proxy=silent.url).send(get("https://acme.example"), timeout=0.3)


def test_proxy_can_come_from_the_environment(
    connect: Connect, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(_OK)
    url = f"http://0.0.0.0:{server.port}"  # leads to the machine, and is no loopback address
    with ForwardProxy() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        connect(trust_env=True).send(get(url))
        connect(trust_env=False).send(get(url))
        monkeypatch.setenv("no_proxy", "acme.example,0.0.0.0/8")
        connect(trust_env=True).send(get(url))
    assert (len(proxy.asked), len(server.requests)) == (1, 3)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_proxy_of_the_environment_is_not_used_for_the_machine_itself(
    host: str, connect: Connect, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, server = serve(_OK), serve(_OK)
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("no_proxy", "")
    assert connect(trust_env=True).send(get(f"http://{host}:{server.port}")).status == 200
    assert (len(proxy.requests), len(server.requests)) == (0, 1)


def test_invalid_proxy_in_the_environment_raises_transport_error(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "gopher://me:secret@proxy")
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(TransportError, match="the scheme of a proxy must be one of") as caught:
        connect(trust_env=True).send(get("http://acme.example"))
    assert "secret" not in str(caught.value)


@pytest.mark.skipif(find_spec("socksio") is None, reason="socksio is not there")
def test_socks_proxy_is_a_tunnel(connect: Connect, serve: Serve, authority: Authority) -> None:
    servers = [serve(_OK), serve(_OK, tls=authority.server("localhost"))]
    with SocksProxy() as proxy:
        client = connect(proxy=f"socks5://me:secret@127.0.0.1:{proxy.port}", ca_bundle=authority.bundle)
        for server in servers * 2:
            assert client.send(post(server.url)).status == 200
        refused = connect(proxy=f"socks5://me:wrong@127.0.0.1:{proxy.port}")
        with pytest.raises(TransportError, match="the proxy refused"):
            refused.send(get("http://acme.example"))
    assert proxy.asked == [f"127.0.0.1:{servers[0].port}", f"localhost:{servers[1].port}"]


@pytest.mark.skipif(find_spec("socksio") is not None, reason="socksio is there")
def test_socks_proxy_without_its_package_names_it(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match="socks5 needs the package socksio"):
        connect(proxy="socks5://127.0.0.1")
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.delenv("http_proxy", raising=False)
    with pytest.raises(TransportError, match="socks5 needs the package socksio"):
        connect(trust_env=True).send(get("http://acme.example"))


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"max_connections": 0}, "max_connections"),
        ({"proxy": "gopher://me:secret@proxy"}, "proxy"),
        ({"proxy": "http://me:secret@:80"}, "proxy"),
        ({"proxy": "http://me:secret@proxy:99999"}, "proxy"),
        ({"ca_bundle": Path(__file__)}, "ca_bundle"),
        ({"ca_bundle": "no/such/file.pem"}, "ca_bundle"),
    ],
)
def test_invalid_proxy_option_raises_an_option_error(
    connect: Connect, options: dict[str, Any], path: str
) -> None:
    with pytest.raises(OptionError) as caught:
        connect(**options)
    assert caught.value.path == path
    assert "secret" not in str(caught.value)
