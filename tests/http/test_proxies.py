from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.cases import each_case
from targetry.http.proxies import Proxy, ProxyConfigurationError, ProxyTable, parse_proxy


@each_case(
    "text, proxy",
    [
        ("http://proxy:3128", Proxy("http", "proxy", 3128)),
        ("proxy:3128", Proxy("http", "proxy", 3128)),
        ("http://proxy", Proxy("http", "proxy", 80)),
        ("https://proxy/", Proxy("https", "proxy", 443)),
        ("socks5://proxy", Proxy("socks5", "proxy", 1080)),
        ("http://me@proxy", Proxy("http", "proxy", 80, "me")),
        ("http://me:p%40ss%3A@proxy:1", Proxy("http", "proxy", 1, "me", "p@ss:")),
        ("http://[::1]:3128", Proxy("http", "::1", 3128)),
    ],
)
def test_proxy_url_is_parsed(text: str, proxy: Proxy) -> None:
    assert parse_proxy(text) == proxy


@each_case(
    "text",
    ["", "gopher://p", "http://", "http://me:secret@", "http://p:secret", "http://p:99999", "http://p:0"],
)
def test_invalid_proxy_is_rejected_without_repeating_it(text: str) -> None:
    with pytest.raises(ProxyConfigurationError) as caught:
        parse_proxy(text)
    assert "secret" not in str(caught.value)


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_text_is_a_proxy_or_a_configuration_error(text: str, password: str) -> None:
    for candidate in (text, f"http://{text}", f"http://me:{password}@proxy:{text}"):
        with contextlib.suppress(ProxyConfigurationError):
            assert 0 < parse_proxy(candidate).port < 65536


def test_proxy_repr_hides_user_and_password() -> None:
    proxy = Proxy("http", "::1", 3128, "me", "secret")
    assert repr(proxy) == "Proxy('http://[::1]:3128')"
    assert proxy.__rich_repr__() == [("url", "http://[::1]:3128")]


@pytest.mark.parametrize(("scheme", "expected"), [("http", "one"), ("https", "two"), ("ftp", "three")])
def test_scheme_selects_the_proxy_and_all_is_the_fallback(scheme: str, expected: str) -> None:
    table = ProxyTable({"http": "http://one", "https": "http://two", "all": "http://three"})
    proxy = table.proxy_for(scheme, "acme.example", 80)
    assert proxy is not None
    assert proxy.host == expected


def test_empty_table_selects_no_proxy() -> None:
    assert ProxyTable({}).proxy_for("http", "acme.example", 80) is None


@each_case(
    "no_proxy, host, port, direct",
    [
        ("*", "acme.example", 80, True),
        ("acme.example", "acme.example", 80, True),
        ("ACME.example", "acme.EXAMPLE", 80, True),
        ("acme.example", "www.acme.example", 80, True),
        (".acme.example", "www.acme.example", 80, True),
        ("*.acme.example", "www.acme.example", 80, True),
        ("acme.example", "notacme.example", 80, False),
        ("other.example, acme.example", "acme.example", 80, True),
        ("acme.example:8080", "acme.example", 8080, True),
        ("acme.example:8080", "acme.example", 80, False),
        ("10.0.0.0/8", "10.1.2.3", 80, True),
        ("10.0.0.0/8", "11.1.2.3", 80, False),
        ("10.0.0.0/8", "acme.example", 80, False),
        ("127.0.0.1", "127.0.0.1", 80, True),
        ("127.0.0.1:81", "127.0.0.1", 80, False),
        ("::1", "::1", 80, True),
        ("[::1]:80", "::1", 80, True),
        ("[::1]:81", "::1", 80, False),
        ("fd00::/8", "fd12::1", 80, True),
        (",, ,", "acme.example", 80, False),
        ("", "acme.example", 80, False),
        (".", "acme.example", 80, False),
    ],
)
def test_no_proxy_exempts_hosts(no_proxy: str, host: str, port: int, direct: bool) -> None:
    proxy = ProxyTable({"all": "http://proxy"}, no_proxy).proxy_for("https", host, port)
    assert (proxy is None) == direct


def test_environment_is_read_in_upper_and_lower_case(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://upper")
    monkeypatch.setenv("http_proxy", "http://lower")
    monkeypatch.setenv("NO_PROXY", "direct.example")
    table = ProxyTable.from_environment()
    assert str(table.proxy_for("https", "acme.example", 443)) == "http://upper:80"
    assert str(table.proxy_for("http", "acme.example", 80)) == "http://lower:80"
    assert table.proxy_for("https", "direct.example", 443) is None


@pytest.mark.parametrize("host", ["localhost", "app.localhost", "127.0.0.1", "127.8.8.8", "::1"])
def test_proxies_of_the_environment_exempt_the_machine_itself(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", "http://proxy")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert ProxyTable.from_environment().proxy_for("https", host, 443) is None
