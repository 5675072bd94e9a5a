"""The default transport, blocking."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final

from targetry._runtime.defaults import MAX_CONNECTIONS
from targetry._runtime.lazy_import import importing
from targetry.errors import ClosedError
from targetry.http.connector import HttpOptions, Routes, checked_options
from targetry.http.deadline import Attempt, deadline_after
from targetry.http.errors import EarlyDataError
from targetry.http.pool import Kept, KeptConnections, Lease, Origin
from targetry.http.protocol import HttpRequest, HttpResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import httpcore2

    from targetry.http.resolver import Lookup
    from targetry.http.translation import Prepared


_LONGEST_SLEEP_S: Final = 1.0


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
        on_surplus: called with scheme, host and port for each connection that is dropped because bytes came on it that no
            request asked for.
        own_urls: where most requests will go: `prepare` gets ready for these hosts, and their names are looked up without
            waiting for others'.

    Raises:
        OptionError: an argument cannot be used; `path` is its name.
    """

    def __init__(
        self,
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
    ) -> None:
        self._options = checked_options(
            max_connections=max_connections,
            keepalive_seconds=keepalive_seconds,
            ca_bundle=ca_bundle,
            proxy=proxy,
            trust_env=trust_env,
            http2=http2,
            lookup=lookup,
            on_surplus=on_surplus,
            own_urls=own_urls,
        )
        self._by_process: dict[int, _Here] = {}
        self._closed = False

    def __repr__(self) -> str:
        return f"HttpTransport({self._options})"

    def send(self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None) -> HttpResponse:
        """See `Transport.send`. When a kept connection turns out to be dead, the request is sent once more on a new one."""
        ends_at = deadline_after(timeout)
        here = self._here()
        translation = here.translation
        prepared = translation.Prepared(request)
        attempt = Attempt(ends_at)
        pool = here.pool
        lease: Lease[httpcore2.ConnectionInterface] = Lease()
        try:
            try:
                here.wait_for_place(lease, attempt)
                pool.take(prepared.origin, lease)
                try:
                    return here.ask(prepared, attempt, lease, max_bytes)
                except Exception as error:
                    if not translation.was_stale(error, attempt):
                        raise
                pool.forget(prepared.origin)
                attempt = Attempt(ends_at)
                return here.ask(prepared, attempt, lease, max_bytes)
            finally:
                pool.leased.discard(lease)
                pool.leave(lease)
        except Exception as error:
            raise translation.failure(error, attempt, prepared.shown_origin, timeout) from error

    def prepare(self) -> None:
        """Load what a first request needs (modules, certificates, proxies), so that it does not pay for that in its time."""
        self._here().prepare()

    def close(self) -> None:
        """See `Transport.close`."""
        self._closed = True
        here = self._by_process.get(os.getpid())
        if here is not None:
            here.pool.close()

    def let_go(self) -> int:
        """Close the idle connections of this process and return how many there were; not an end, as `close` is."""
        here = self._by_process.get(os.getpid())
        return here.pool.let_go() if here is not None else 0

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
                inherited.pool.abandon()
        return self._by_process.setdefault(pid, _Here(self._options))


class _Here:
    """What belongs to one process: a child must neither use nor disturb the connections of its parent."""

    def __init__(self, options: HttpOptions) -> None:
        with importing():
            import httpcore2

            from targetry.http import translation
            from targetry.http.sync_sockets import Network

        self.translation = translation
        self.routes: Routes[httpcore2.ConnectionInterface] = Routes(
            options, httpcore2.ConnectionPool, Network
        )
        self.pool: KeptConnections[httpcore2.ConnectionInterface] = KeptConnections(
            options.max_connections, options.keepalive_seconds, options.on_surplus
        )

    def prepare(self) -> None:
        """Import and make what requests need, by sending one over a connection that leads nowhere."""
        self.routes.prepare()
        with importing():
            import httpcore2

            translation = self.translation
            network = httpcore2.MockBackend([translation.REHEARSED_RESPONSE])
            connection = httpcore2.ConnectionPool(network_backend=network).create_connection(
                httpcore2.Origin(b"http", b"localhost", 80)
            )
            request = translation.Prepared(translation.REHEARSED_REQUEST).request(
                Attempt(deadline_after(1.0))
            )
            response = connection.handle_request(request)
            answer = translation.Answer(response, None)
            for piece in response.iter_stream():
                for _ in answer.feed(piece):
                    pass
            answer.response()

    def wait_for_place(self, lease: Lease[httpcore2.ConnectionInterface], attempt: Attempt) -> None:
        """Wait until `lease` has a place in the pool. Raises `TimeoutError`."""
        if self.pool.enter(lease, int):
            return
        gate = threading.Lock()
        gate.acquire()
        while not self.pool.enter(lease, gate.release):
            # A signal handler's exception can cost the wake-up, so it is not waited for alone.
            gate.acquire(timeout=min(attempt.left(), _LONGEST_SLEEP_S))

    def ask(
        self,
        prepared: Prepared,
        attempt: Attempt,
        lease: Lease[httpcore2.ConnectionInterface],
        max_bytes: int | None,
    ) -> HttpResponse:
        """Ask on the lease's connection, or else on a new one; afterwards keep it, if its response came whole."""
        kept = lease.kept
        try:
            if kept is None:
                attempt.doing = "preparing a connection"
                connection = self.routes.open(prepared.origin)
            else:
                connection = kept.connection
            response = connection.handle_request(prepared.request(attempt))
            try:
                answer = self.translation.Answer(response, max_bytes)
                for piece in response.iter_stream():
                    for _ in answer.feed(piece):
                        attempt.left()
            finally:
                response.close()
            must_close = answer.ends_connection(is_kept=kept is not None)
            if attempt.opened is not None:
                kept = Kept(connection, attempt.opened)
        except BaseException as error:
            lease.kept = None
            here_socket = attempt.opened if kept is None else kept.socket
            if here_socket is not None:
                here_socket.drop()
            if isinstance(error, EarlyDataError):
                self.pool.report_surplus(prepared.origin)
            raise
        lease.kept = None
        if kept is not None:
            self.pool.keep(prepared.origin, kept, must_close=must_close)
        return answer.response()
