"""One HTTP/1.1 connection of httpcore2, how it is opened, and what its errors mean."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any, Final

import httpcore2

from targetry.http import translation
from targetry.http.deadline import Deadline, deadline_after
from targetry.http.protocol import HttpRequest
from targetry.http.sync_sockets import Network, Stream
from targetry.http.translation import ResponseReader, WireRequest

if TYPE_CHECKING:
    from targetry.errors import TransportError
    from targetry.http.connector import Connector, Route
    from targetry.http.pool import Origin

# Sent and received when a transport is prepared.
_REHEARSED_REQUEST: Final = HttpRequest("POST", "http://localhost/", {}, b"{}")
_REHEARSED_RESPONSE: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n" + gzip.compress(b"{}")
)


class SyncConnection:
    """A connection of httpcore2 and, once it is open, the stream under it."""

    def __init__(self, connection: httpcore2.ConnectionInterface) -> None:
        self._connection = connection
        self._stream: Stream | None = None
        self.idle_since = 0.0

    def exchange(self, request: WireRequest, deadline: Deadline, max_bytes: int | None) -> ResponseReader:
        """Send `request`, opening the connection if it is new, and read the response to its end."""
        response = self._connection.handle_request(_httpcore_request(request, deadline))
        try:
            reason: bytes | None = response.extensions.get("reason_phrase")
            reader = ResponseReader(
                response.status,
                None if reason is None else reason.decode("latin-1"),
                response.headers,
                max_bytes,
            )
            for piece in response.iter_stream():
                for _ in reader.feed(piece):
                    deadline.left()
        finally:
            response.close()
        if isinstance(deadline.opened, Stream):
            self._stream = deadline.opened
        return reader

    def is_reusable(self) -> bool:
        connection = self._connection
        return self._stream is not None and connection.is_available() and connection.is_idle()

    def unread(self) -> bytes | None:
        """Return what could be read at once; see `pool.Connection`."""
        return b"" if self._stream is None else self._stream.unread()

    def has_surplus(self) -> bool:
        return self._stream is not None and self._stream.has_surplus()

    def drop(self) -> None:
        if self._stream is not None:
            self._stream.drop()


class SyncConnector:
    """Makes connections that connect when they are first used."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._network = Network(connector.resolver)
        self._factories: dict[Route, httpcore2.ConnectionPool] = {}

    def __call__(self, origin: Origin) -> SyncConnection:
        """Return a new connection to `origin`. Raises `ProxyConfigurationError`."""
        route = self._connector.route(origin)
        factory = self._factories.get(route)
        if factory is None:
            factory = self._factories[route] = self._factory(route)
        scheme, host, port = origin
        target = httpcore2.Origin(scheme.encode(), host.encode(), port)
        return SyncConnection(factory.create_connection(target))

    def prepare(self) -> None:
        """Load what a request needs, by sending one over a connection without a network."""
        self._connector.prepare()
        network = httpcore2.MockBackend([_REHEARSED_RESPONSE])
        connection = httpcore2.ConnectionPool(network_backend=network).create_connection(
            httpcore2.Origin(b"http", b"localhost", 80)
        )
        request = WireRequest(_REHEARSED_REQUEST)
        SyncConnection(connection).exchange(request, Deadline(deadline_after(1.0)), None).response()

    def _factory(self, route: Route) -> httpcore2.ConnectionPool:
        """Return a pool of httpcore2, of which only `create_connection` is used."""
        return httpcore2.ConnectionPool(
            ssl_context=route.tls,
            proxy=None if route.proxy is None else _httpcore_proxy(route),
            network_backend=self._network,
        )


def _httpcore_request(request: WireRequest, deadline: Deadline) -> httpcore2.Request:
    server = request.server
    return httpcore2.Request(
        request.method.encode("ascii"),
        httpcore2.URL(scheme=server.scheme, host=server.host, port=server.port, target=request.target),
        headers=[
            (name.encode("utf-8", "replace"), value.encode("utf-8", "surrogatepass"))
            for name, value in request.headers.items()
        ],
        content=request.body,
        extensions={"timeout": deadline.timeouts},
    )


def _httpcore_proxy(route: Route) -> Any:
    proxy = route.proxy
    assert proxy is not None
    pair = [(part or "").encode("utf-8", "surrogatepass") for part in (proxy.user, proxy.password)]
    return httpcore2.Proxy(
        str(proxy),
        auth=(pair[0], pair[1]) if any(pair) else None,
        ssl_context=route.tls if proxy.scheme == "https" else None,
    )


def was_stale(error: Exception, deadline: Deadline) -> bool:
    """Return whether the request may be repeated; see `translation.was_stale`."""
    disconnects = (httpcore2.RemoteProtocolError, httpcore2.WriteError, httpcore2.ConnectionNotAvailable)
    return translation.was_stale(error, deadline, is_disconnect=isinstance(error, disconnects))


def transport_error(error: Exception, deadline: Deadline, origin: str, timeout_s: float) -> TransportError:
    """Return the error for the caller; see `translation.transport_error`."""
    root = error.__cause__ if isinstance(error, httpcore2.WriteError) else error
    root = root if isinstance(root, Exception) else error
    reason: str | None = None
    match root:
        case httpcore2.TimeoutException():
            root = TimeoutError()
        case httpcore2.ProxyError():
            reason = f"the proxy refused: {root}"
        case httpcore2.RemoteProtocolError():
            reason = translation.NOT_HTTP
        case httpcore2.LocalProtocolError():
            reason = translation.CANNOT_BE_SENT
        case _:
            pass
    return translation.transport_error(root, deadline, origin, timeout_s, reason)
