"""Proxy selection: a pure table made from an option or from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

import msgspec

from targetry._runtime.lazy_import import importing

_LOOPBACK: Final = "localhost,127.0.0.0/8,::1"
_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


class ProxyConfigurationError(ValueError):
    """Proxy or certificate settings are unusable; the text holds no password."""


class Proxy(msgspec.Struct, frozen=True):
    """A proxy; its text shows neither user nor password."""

    scheme: str
    host: str
    port: int
    user: str | None = None
    password: str | None = None

    @property
    def is_socks(self) -> bool:
        return self.scheme.startswith("socks")

    def __str__(self) -> str:
        """Return the URL without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def __repr__(self) -> str:
        return f"Proxy({str(self)!r})"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        return [("url", str(self))]


def parse_proxy(text: str) -> Proxy:
    """Parse `http://user:password@host:port`.

    User and password are percent-encoded; the scheme defaults to `http`. Raises
    `ProxyConfigurationError`.
    """
    try:
        url = urlsplit(text if "://" in text else f"http://{text}")
        host, port = (url.hostname or "").encode("idna").decode("ascii"), url.port
    except ValueError:
        raise ProxyConfigurationError("must be a URL like http://user:password@host:port") from None
    if url.scheme not in _PORTS:
        raise ProxyConfigurationError(f"the scheme of a proxy must be one of {', '.join(_PORTS)}")
    if not host:
        raise ProxyConfigurationError("must be a URL like http://user:password@host:port")
    if port == 0:
        raise ProxyConfigurationError("must have a port from 1 to 65535")
    user, password = (None if part is None else unquote(part) for part in (url.username, url.password))
    return Proxy(url.scheme, host, port or _PORTS[url.scheme], user, password)


class ProxyTable:
    """The proxies by scheme, and the hosts that are exempt."""

    def __init__(self, by_scheme: Mapping[str, str], no_proxy: str = "") -> None:
        """Create a table from proxy URLs under `http`, `https` and `all`.

        `no_proxy` has the syntax of curl: hosts separated by commas, each including its subdomains,
        with or without a port, networks such as `10.0.0.0/8`, or `*`.
        """
        self._by_scheme = by_scheme
        self._exempt = [entry.strip().lower() for entry in no_proxy.split(",") if entry.strip()]

    @classmethod
    def from_environment(cls) -> ProxyTable:
        """Read `HTTP_PROXY` and its relatives (or lower-case), or the system's settings.

        They never apply to the machine itself: a proxy of the network does not lead there.
        """
        with importing():
            from urllib.request import getproxies  # slow to import, and rarely needed

        found = getproxies()
        return cls(found, f"{found.get('no', '')},{_LOOPBACK}")

    def proxy_for(self, scheme: str, host: str, port: int) -> Proxy | None:
        """Return the proxy for a URL's scheme, host and port. Raises `ProxyConfigurationError`."""
        url = self._by_scheme.get(scheme) or self._by_scheme.get("all")
        if not url or any(_covers(entry, host.lower(), port) for entry in self._exempt):
            return None
        return parse_proxy(url)


def _covers(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    name, found, number = entry.rpartition(":")
    if found and number.isdecimal() and (":" not in name or name.endswith("]")):
        if int(number) != port:
            return False
        entry = name
    entry = entry.strip("[]")
    if _in_network(host, entry):
        return True
    name = entry.removeprefix("*").lstrip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _in_network(host: str, network: str) -> bool:
    with importing():
        import ipaddress  # as in `from_environment`

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
