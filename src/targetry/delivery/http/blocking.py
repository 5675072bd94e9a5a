"""The default transport, blocking."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from targetry.delivery.http.attempt import Attempt, deadline_after
from targetry.delivery.http.kept import Kept, KeptConnections
from targetry.delivery.http.routes import HttpOptions, Routes, checked_options
from targetry.delivery.transport import HttpRequest, HttpResponse
from targetry.errors import ClosedError
from targetry.lazy_import import importing

if TYPE_CHECKING:
    import httpcore2

    from targetry.delivery.http.exchange import Prepared
    from targetry.delivery.http.resolver import Lookup


class HttpTransport:
    """HTTP/1.1 over kept connections, for any number of threads; a `Transport`.

    Nothing is opened, and httpcore2 not even imported, before the first request. After a fork the child opens
    connections of its own. Redirects are not followed. Certificates are always checked.

    Args:
        max_connections: so many connections, and requests, at a time; who finds none free waits for one.
        keepalive_seconds: how long a connection may be idle and still be used again.
        ca_bundle: PEM file of the certificate authorities to trust, instead of those of the platform.
        proxy: `http://user:password@host:port` for all requests; also `https://` and, with the package socksio,
            `socks5://`.
        trust_env: without `proxy`, use `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`; without `ca_bundle`,
            `SSL_CERT_FILE` and `SSL_CERT_DIR`.
        http2: speak HTTP/2 with servers that offer it, one request at a time on a connection. Needs the package h2.
        lookup: finds the addresses of a host and port, as `socket.getaddrinfo` does.

    Raises:
        OptionError: an argument cannot be used; `path` is its name.
    """

    def __init__(
        self,
        *,
        max_connections: int = 100,
        keepalive_seconds: float = 20.0,
        ca_bundle: str | os.PathLike[str] | None = None,
        proxy: str | None = None,
        trust_env: bool = True,
        http2: bool = False,
        lookup: Lookup | None = None,
    ) -> None:
        self._options = checked_options(
            max_connections=max_connections,
            keepalive_seconds=keepalive_seconds,
            ca_bundle=ca_bundle,
            proxy=proxy,
            trust_env=trust_env,
            http2=http2,
            lookup=lookup,
        )
        self._by_process: dict[int, _Here] = {}
        self._closed = False

    def __repr__(self) -> str:
        return f"HttpTransport({self._options})"

    def send(self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None) -> HttpResponse:
        """See `Transport.send`. When a kept connection turns out to be dead, the request is sent once more on a new one."""
        ends_at = deadline_after(timeout)
        here = self._here()
        exchange = here.exchange
        prepared = exchange.Prepared(request)
        attempt = Attempt(ends_at)
        try:
            here.wait_for_turn(attempt)
            try:
                kept = here.kept.take(prepared.origin)
                try:
                    return here.ask(prepared, attempt, kept, max_bytes)
                except Exception as error:
                    if not exchange.was_stale(error, attempt):
                        raise
                here.kept.forget(prepared.origin)
                attempt = Attempt(ends_at)
                here.kept.room_for_one()
                return here.ask(prepared, attempt, None, max_bytes)
            finally:
                here.turns.release()
        except Exception as error:
            raise exchange.failure(error, attempt, prepared.shown_origin, timeout) from error

    def close(self) -> None:
        """See `Transport.close`."""
        self._closed = True
        here = self._by_process.get(os.getpid())
        if here is not None:
            here.kept.close()

    def let_go(self) -> int:
        """Close the idle connections of this process and return how many there were; not an end, as `close` is."""
        here = self._by_process.get(os.getpid())
        return here.kept.let_go() if here is not None else 0

    def _here(self) -> _Here:
        """What this process has. Without a lock: one that another thread held during a fork would never be free again."""
        if self._closed:
            raise ClosedError("the transport was closed")
        here = self._by_process.get(os.getpid())
        return here if here is not None else self._arrive()

    def _arrive(self) -> _Here:
        pid = os.getpid()
        for parent in list(self._by_process):  # a copy: several threads of a child may arrive at once
            if parent != pid and (inherited := self._by_process.pop(parent, None)) is not None:
                inherited.kept.abandon()
        return self._by_process.setdefault(pid, _Here(self._options))


class _Here:
    """What belongs to one process: a child must neither use nor disturb the connections of its parent."""

    def __init__(self, options: HttpOptions) -> None:
        with importing():
            import httpcore2

            from targetry.delivery.http import exchange
            from targetry.delivery.http.sockets import Network

        self.exchange = exchange
        self.routes: Routes[httpcore2.ConnectionInterface] = Routes(
            options, httpcore2.ConnectionPool, Network
        )
        self.kept: KeptConnections[httpcore2.ConnectionInterface] = KeptConnections(
            options.max_connections, options.keepalive_seconds
        )
        self.turns = threading.BoundedSemaphore(options.max_connections)

    def wait_for_turn(self, attempt: Attempt) -> None:
        if not self.turns.acquire(timeout=attempt.left()):
            raise TimeoutError

    def ask(
        self,
        prepared: Prepared,
        attempt: Attempt,
        kept: Kept[httpcore2.ConnectionInterface] | None,
        max_bytes: int | None,
    ) -> HttpResponse:
        """Ask on the connection that was kept, or else on a new one; afterwards keep it, if that can be."""
        connection = None if kept is None else kept.connection
        try:
            if connection is None:
                attempt.doing = "preparing a connection"
                connection = self.routes.open(prepared.origin)
            response = connection.handle_request(prepared.request(attempt))
            try:
                answer = self.exchange.Answer(response, max_bytes)
                for piece in response.iter_stream():
                    answer.feed(piece)
            finally:
                response.close()
            return answer.response()
        finally:
            if connection is not None and attempt.opened is not None:
                kept = Kept(connection, attempt.opened)
            if kept is None:
                self.kept.lose(None)
            else:
                self.kept.give(prepared.origin, kept)
