"""Blocking HTTP transport, on httpcore2."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final

from targetry._runtime.defaults import MAX_CONNECTIONS
from targetry._runtime.lazy_import import importing
from targetry.errors import ClosedError
from targetry.http.connector import Connector, TransportOptions, check_options
from targetry.http.deadline import Deadline, deadline_after
from targetry.http.pool import ConnectionPool, Lease, Origin
from targetry.http.protocol import HttpRequest, HttpResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from targetry.http.resolver import Lookup
    from targetry.http.sync_connection import SyncConnection
    from targetry.http.translation import WireRequest


_LONGEST_SLEEP_S: Final = 1.0


class HttpTransport:
    """HTTP/1.1 over pooled connections, for any number of threads; a `Transport`.

    Nothing is opened, and httpcore2 not even imported, before the first request. After a fork the
    child opens connections of its own. Redirects are not followed. Certificates are always checked.

    Args:
        max_connections: The largest number of connections, and of requests at a time; further
            requests wait.
        ca_bundle: PEM file of the certificate authorities to trust, instead of the platform's.
        proxy: `http://user:password@host:port` for all requests; also `https://` and, with the
            package socksio, `socks5://`.
        trust_env: Without `proxy`, use `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`;
            without `ca_bundle`, `SSL_CERT_FILE` and `SSL_CERT_DIR`.
        lookup: Returns the addresses of a host and port, as `socket.getaddrinfo` does.
        on_surplus: Called with scheme, host and port for each connection that is closed because
            bytes arrived on it that belong to no response.
        own_urls: URLs of the hosts that most requests are sent to: `prepare` loads what they need,
            and their names are looked up without waiting for other names.

    Raises:
        OptionError: An argument is unusable; `path` is its name.
    """

    def __init__(
        self,
        *,
        max_connections: int = MAX_CONNECTIONS,
        ca_bundle: str | os.PathLike[str] | None = None,
        proxy: str | None = None,
        trust_env: bool = True,
        lookup: Lookup | None = None,
        on_surplus: Callable[[Origin], object] | None = None,
        own_urls: Iterable[str] = (),
    ) -> None:
        self._options = check_options(
            max_connections=max_connections,
            ca_bundle=ca_bundle,
            proxy=proxy,
            trust_env=trust_env,
            lookup=lookup,
            on_surplus=on_surplus,
            own_urls=own_urls,
        )
        self._by_process: dict[int, _ProcessState] = {}
        self._is_closed = False

    def __repr__(self) -> str:
        return f"HttpTransport({self._options})"

    def send(self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None) -> HttpResponse:
        """Send `request`; see `Transport.send`.

        If a reused connection turns out to be closed, the request is sent once more on a new one.
        """
        ends_at = deadline_after(timeout)
        state = self._state()
        wire = state.translation.WireRequest(request)
        deadline = Deadline(ends_at)
        pool = state.pool
        lease: Lease[SyncConnection] = Lease()
        try:
            state.wait_for_slot(lease, deadline)
            pool.acquire(wire.server.origin, lease)
            is_reused = lease.connection is not None
            try:
                return state.exchange(wire, deadline, lease, max_bytes)
            except Exception as error:
                if not is_reused or not state.was_stale(error, deadline):
                    raise
            pool.purge(wire.server.origin)
            deadline = Deadline(ends_at)
            return state.exchange(wire, deadline, lease, max_bytes)
        except Exception as error:
            raise state.transport_error(error, deadline, wire.server.shown_origin, timeout) from error
        finally:
            pool.leases.discard(lease)
            pool.release_slot(lease)

    def prepare(self) -> None:
        """Load what a first request needs, so that its deadline need not cover it."""
        self._state().prepare()

    def close(self) -> None:
        """Close the connections; see `Transport.close`."""
        self._is_closed = True
        state = self._by_process.get(os.getpid())
        if state is not None:
            state.pool.close()

    def close_idle(self) -> int:
        """Close this process's idle connections and return their number."""
        state = self._by_process.get(os.getpid())
        return state.pool.close_idle() if state is not None else 0

    def _state(self) -> _ProcessState:
        """Return this process's state, without a lock, which a fork could leave locked."""
        if self._is_closed:
            raise ClosedError("the transport was closed")
        state = self._by_process.get(os.getpid())
        return state if state is not None else self._new_state()

    def _new_state(self) -> _ProcessState:
        pid = os.getpid()
        for parent in list(self._by_process):  # a copy: several threads of a child may run this at once
            if parent != pid and (inherited := self._by_process.pop(parent, None)) is not None:
                inherited.pool.abandon()
        return self._by_process.setdefault(pid, _ProcessState(self._options))


class _ProcessState:
    """Connections of one process: a child must neither use nor disturb those of its parent."""

    def __init__(self, options: TransportOptions) -> None:
        with importing():
            from targetry.http import sync_connection, translation

        self.translation = translation
        self.was_stale = sync_connection.was_stale
        self.transport_error = sync_connection.transport_error
        self._new_connection = sync_connection.SyncConnector(Connector(options))
        self.pool: ConnectionPool[SyncConnection] = ConnectionPool(
            options.max_connections, options.on_surplus
        )

    def prepare(self) -> None:
        self._new_connection.prepare()

    def wait_for_slot(self, lease: Lease[SyncConnection], deadline: Deadline) -> None:
        """Wait until `lease` holds a slot of the pool. Raises `TimeoutError`."""
        if self.pool.take_slot(lease):
            return
        gate = threading.Lock()
        gate.acquire()
        while not self.pool.request_slot(lease, gate.release):
            # An exception of a signal handler can lose the wake-up, so the wait is repeated.
            gate.acquire(timeout=min(deadline.left(), _LONGEST_SLEEP_S))

    def exchange(
        self,
        request: WireRequest,
        deadline: Deadline,
        lease: Lease[SyncConnection],
        max_bytes: int | None,
    ) -> HttpResponse:
        """Send `request` on the lease's connection or a new one, and release it to the pool."""
        connection = lease.connection
        try:
            if connection is None:
                deadline.phase = "preparing a connection"
                connection = self._new_connection(request.server.origin)
            reader = connection.exchange(request, deadline, max_bytes)
            must_close = reader.ends_connection(is_reused=deadline.opened is None)
        except BaseException as error:
            self.pool.discard(request.server.origin, lease, deadline.opened, error)
            raise
        self.pool.release(request.server.origin, lease, connection, must_close=must_close)
        return reader.response()
