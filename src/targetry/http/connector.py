"""Which way to a host: directly or through a proxy, with which certificates, with which protocol.

The options of the two transports are checked here, and what follows from them is made when it is first needed: reading
the platform's certificates alone takes longer than some processes live.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar
from urllib.parse import urlsplit

import msgspec

from targetry._runtime.defaults import MAX_CONNECTIONS
from targetry._runtime.lazy_import import importing
from targetry.errors import OptionError
from targetry.http.pool import Connection, Origin
from targetry.http.proxies import NoWayError, Proxy, ProxyTable, parse_proxy

if TYPE_CHECKING:
    import ssl

    from targetry.http.resolver import Lookup, Resolver

DEFAULT_PORTS: Final = {"http": 80, "https": 443}

C_co = TypeVar("C_co", bound=Connection, covariant=True)


class HttpOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `HttpTransport` and `AsyncHttpTransport` can be told; see there."""

    max_connections: int
    keepalive_seconds: float
    ca_bundle: str | os.PathLike[str] | None
    proxy: Proxy | None
    trust_env: bool
    http2: bool
    lookup: Lookup | None
    on_surplus: Callable[[Origin], object] | None
    own_origins: tuple[Origin, ...]

    def __str__(self) -> str:
        proxy = "" if self.proxy is None else f", proxy='{self.proxy}'"
        return f"max_connections={self.max_connections}{proxy}"


def checked_options(
    *,
    max_connections: int = MAX_CONNECTIONS,
    keepalive_seconds: float = 20.0,
    ca_bundle: str | os.PathLike[str] | None = None,
    proxy: str | None = None,
    trust_env: bool = True,
    http2: bool = False,
    lookup: Lookup | None = None,
    on_surplus: Callable[[Origin], object] | None = None,
    own_urls: Iterable[str] = (),
) -> HttpOptions:
    """Raises `OptionError`, with the name of the option as its path."""
    if max_connections < 1:
        raise OptionError("max_connections", "must be at least 1")
    if keepalive_seconds < 0:
        raise OptionError("keepalive_seconds", "must not be negative")
    if http2 and find_spec("h2") is None:
        raise OptionError("http2", "needs the package h2: pip install 'targetry[http2]'")
    if ca_bundle is not None:
        _own_authorities(ca_bundle)
    return HttpOptions(
        max_connections=max_connections,
        keepalive_seconds=keepalive_seconds,
        ca_bundle=ca_bundle,
        proxy=None if proxy is None else _checked_proxy(proxy),
        trust_env=trust_env,
        http2=http2,
        lookup=lookup,
        on_surplus=on_surplus,
        own_origins=tuple(dict.fromkeys(origin for url in own_urls for origin in _origins_in(url))),
    )


def _origins_in(url: str) -> Iterator[Origin]:
    """The origin of an HTTP URL; nothing for what is none, which its request will say."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        if parts.scheme in DEFAULT_PORTS and parts.hostname:
            yield parts.scheme, parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme]


def _checked_proxy(text: str) -> Proxy:
    try:
        return _usable(parse_proxy(text))
    except NoWayError as error:
        raise OptionError("proxy", str(error)) from None


def _usable(proxy: Proxy) -> Proxy:
    if proxy.scheme.startswith("socks") and find_spec("socksio") is None:
        raise NoWayError(f"{proxy.scheme} needs the package socksio: pip install 'targetry[socks]'")
    return proxy


def _own_authorities(ca_bundle: str | os.PathLike[str]) -> ssl.SSLContext:
    import ssl

    try:
        return ssl.create_default_context(cafile=ca_bundle)
    except OSError as error:  # ssl.SSLError is one
        reason = (
            "is not a file of certificates in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
        )
        raise OptionError("ca_bundle", f"{os.fspath(ca_bundle)!r}: {reason}") from error


def tls_context(options: HttpOptions) -> ssl.SSLContext:
    """Certificates and host names are always checked: against `ca_bundle`, else what the platform trusts.

    Raises `NoWayError` when there are no certificates to check against.
    """
    with importing():
        import httpx2

    try:
        if options.ca_bundle is not None:
            return _own_authorities(options.ca_bundle)
        return httpx2.create_ssl_context(trust_env=options.trust_env)
    except (OSError, OptionError) as error:
        raise NoWayError(f"the certificates to trust cannot be read: {error}") from error


class Factory(Protocol[C_co]):
    """A connection pool of httpcore2, used for nothing but this."""

    def create_connection(self, origin: Any) -> C_co: ...


class Routes(Generic[C_co]):
    """Opens connections. One for a process; `make_factory` is httpcore2's `ConnectionPool` or its async twin."""

    def __init__(
        self,
        options: HttpOptions,
        make_factory: Callable[..., Factory[C_co]],
        make_network: Callable[[Resolver], Any],
    ) -> None:
        with importing():
            from targetry.http.resolver import Resolver, system_lookup

        self._options = options
        self._make_factory = make_factory
        own_names = [host for _, host, _ in options.own_origins]
        self._network = make_network(Resolver(options.lookup or system_lookup, own_names))
        self._factories: dict[tuple[str, Proxy | None], Factory[C_co]] = {}
        self._proxies: ProxyTable | None = None

    def prepare(self) -> None:
        """Load what connections to the transport's own hosts need. What is wrong is said to the request that meets it."""
        with importing():
            import encodings.idna  # noqa: F401  for `getaddrinfo`
        for origin in self._options.own_origins:
            with contextlib.suppress(NoWayError, UnicodeError):
                self.open(origin)

    def open(self, origin: Origin) -> C_co:
        """A connection that connects when it is first used. Raises `NoWayError`."""
        import httpcore2

        scheme, host, port = origin
        proxy = self._proxy_for(origin)
        factory = self._factories.get((scheme, proxy))
        if factory is None:
            factory = self._factories[scheme, proxy] = self._factory(scheme, proxy)
        return factory.create_connection(httpcore2.Origin(scheme.encode(), host.encode(), port))

    def _proxy_for(self, origin: Origin) -> Proxy | None:
        if self._options.proxy is not None or not self._options.trust_env:
            return self._options.proxy
        if self._proxies is None:
            self._proxies = ProxyTable.of_environment()
        proxy = self._proxies.proxy_for(*origin)
        return None if proxy is None else _usable(proxy)

    def _factory(self, scheme: str, proxy: Proxy | None) -> Factory[C_co]:
        return self._make_factory(
            ssl_context=tls_context(self._options) if scheme == "https" else None,
            proxy=None if proxy is None else self._proxy_of_httpcore(proxy),
            http2=self._options.http2,
            network_backend=self._network,
        )

    def _proxy_of_httpcore(self, proxy: Proxy) -> Any:
        import httpcore2

        pair = [(part or "").encode("utf-8", "surrogatepass") for part in (proxy.user, proxy.password)]
        return httpcore2.Proxy(
            str(proxy),
            auth=(pair[0], pair[1]) if any(pair) else None,
            ssl_context=tls_context(self._options) if proxy.scheme == "https" else None,
        )
