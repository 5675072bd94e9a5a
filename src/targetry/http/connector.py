"""Options of the HTTP transports, and the route to a host: proxy, certificates, addresses.

Routes are computed from the options at first use, as reading the platform's certificates alone
takes longer than some processes live.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from targetry._runtime.defaults import MAX_CONNECTIONS
from targetry._runtime.lazy_import import importing
from targetry.errors import OptionError
from targetry.http.pool import Origin
from targetry.http.proxies import Proxy, ProxyConfigurationError, ProxyTable, parse_proxy

if TYPE_CHECKING:
    import ssl

    from targetry.http.resolver import Lookup

DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class TransportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of `HttpTransport` and `AsyncHttpTransport`, checked; see there."""

    max_connections: int
    ca_bundle: str | os.PathLike[str] | None
    proxy: Proxy | None
    trust_env: bool
    lookup: Lookup | None
    on_surplus: Callable[[Origin], object] | None
    own_origins: tuple[Origin, ...]

    def __str__(self) -> str:
        proxy = "" if self.proxy is None else f", proxy='{self.proxy}'"
        return f"max_connections={self.max_connections}{proxy}"


def check_options(
    *,
    max_connections: int = MAX_CONNECTIONS,
    ca_bundle: str | os.PathLike[str] | None = None,
    proxy: str | None = None,
    trust_env: bool = True,
    lookup: Lookup | None = None,
    on_surplus: Callable[[Origin], object] | None = None,
    own_urls: Iterable[str] = (),
) -> TransportOptions:
    """Return the options. Raises `OptionError`, with the name of the option as its path."""
    if max_connections < 1:
        raise OptionError("max_connections", "must be at least 1")
    if ca_bundle is not None:
        from targetry.http.tls import authorities

        authorities(ca_bundle)
    return TransportOptions(
        max_connections=max_connections,
        ca_bundle=ca_bundle,
        proxy=None if proxy is None else _checked_proxy(proxy),
        trust_env=trust_env,
        lookup=lookup,
        on_surplus=on_surplus,
        own_origins=tuple(dict.fromkeys(origin for url in own_urls for origin in _origins_in(url))),
    )


def _origins_in(url: str) -> Iterator[Origin]:
    """Yield the origin of an HTTP URL; nothing for other text, which the request itself reports."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        if parts.scheme in DEFAULT_PORTS and parts.hostname:
            yield parts.scheme, parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme]


def _checked_proxy(text: str) -> Proxy:
    try:
        return _supported(parse_proxy(text))
    except ProxyConfigurationError as error:
        raise OptionError("proxy", str(error)) from None


def _supported(proxy: Proxy) -> Proxy:
    if proxy.is_socks and find_spec("socksio") is None:
        raise ProxyConfigurationError(
            f"{proxy.scheme} needs the package socksio: pip install 'targetry[socks]'"
        )
    return proxy


class Route(NamedTuple):
    """The way to an origin: through which proxy, and which certificates are trusted on it."""

    proxy: Proxy | None
    tls: ssl.SSLContext | None


class Connector:
    """The routes and the resolver of one process."""

    def __init__(self, options: TransportOptions) -> None:
        with importing():
            from targetry.http.resolver import Resolver, system_lookup

        self._options = options
        own_names = [host for _, host, _ in options.own_origins]
        self.resolver = Resolver(options.lookup or system_lookup, own_names)
        self._proxies: ProxyTable | None = None
        self._tls: ssl.SSLContext | None = None

    def prepare(self) -> None:
        """Load what connections to the transport's own hosts need; requests report errors."""
        with importing():
            import encodings.idna  # noqa: F401  for `getaddrinfo`
        for origin in self._options.own_origins:
            with contextlib.suppress(ProxyConfigurationError, UnicodeError):
                self.route(origin)

    def route(self, origin: Origin) -> Route:
        """Return the route to `origin`. Raises `ProxyConfigurationError`."""
        proxy = self.proxy_for(origin)
        needs_tls = origin[0] == "https" or (proxy is not None and proxy.scheme == "https")
        return Route(proxy, self._tls_context() if needs_tls else None)

    def proxy_for(self, origin: Origin) -> Proxy | None:
        """Return the proxy for `origin`. Raises `ProxyConfigurationError`."""
        if self._options.proxy is not None or not self._options.trust_env:
            return self._options.proxy
        if self._proxies is None:
            self._proxies = ProxyTable.from_environment()
        proxy = self._proxies.proxy_for(*origin)
        return None if proxy is None else _supported(proxy)

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            with importing():
                from targetry.http.tls import client_context
            try:
                self._tls = client_context(self._options.ca_bundle, trust_env=self._options.trust_env)
            except (OSError, OptionError) as error:
                raise ProxyConfigurationError(f"the certificates to trust cannot be read: {error}") from error
        return self._tls
