"""Connection pool: open connections reused between requests, up to a limit.

A request holds a `Lease` from before it waits for a slot until its connection is back in the pool.
The set of leases is the only count of connections in use, and a lease leaves it in one step that no
signal handler can interrupt, so an exception raised by a handler never costs a slot.

The connection used last is used first, so those left behind by a burst of requests grow old and are
closed. A connection that its server has closed meanwhile is noticed when it is acquired.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from targetry.http.inbound import EarlyDataError

Origin = tuple[str, str, int]  # scheme, host, port

KEEPALIVE_S: Final = 20.0  # how long a connection may be idle and still be reused
CHECK_INTERVAL_S: Final = 0.1  # between checks whether the oldest has ended, each a system call


class Droppable(Protocol):
    """An open connection."""

    def drop(self) -> None:
        """Close the connection at once, from any thread. Can be called several times."""
        ...


class Connection(Droppable, Protocol):
    """A connection that carries one request at a time."""

    idle_since: float  # monotonic clock, seconds; set by the pool

    def is_reusable(self) -> bool:
        """Return whether the connection is open and can carry another request."""
        ...

    def unread(self) -> bytes | None:
        """Return what could be read at once: None for nothing, b"" at the end."""
        ...

    def has_surplus(self) -> bool:
        """Return whether bytes were read that belong to no response."""
        ...


C = TypeVar("C", bound=Connection)


class Lease(Generic[C]):
    """A request's slot in the pool, and the idle connection that it acquired, if any."""

    __slots__ = ("connection",)

    def __init__(self) -> None:
        self.connection: C | None = None


class ConnectionPool(Generic[C]):
    """The connections of one process or event loop. Safe to use from several threads."""

    def __init__(
        self,
        limit: int,
        on_surplus: Callable[[Origin], object] | None = None,
        keepalive_s: float = KEEPALIVE_S,
        check_interval_s: float = CHECK_INTERVAL_S,
    ) -> None:
        """Create an empty pool of at most `limit` connections.

        `on_surplus` is called for each connection closed because bytes arrived on it that belong to
        no response.
        """
        self._limit = limit
        self._keepalive_s = keepalive_s
        self._check_interval_s = check_interval_s
        self._on_surplus = on_surplus
        self._idle: dict[Origin, list[C]] = {}
        self.leases: set[Lease[C]] = set()  # those that hold a slot
        self._waiting: dict[Lease[C], Callable[[], object]] = {}
        self._next_check = 0.0  # of the oldest idle connection; monotonic clock, seconds
        self._is_closed = False
        self._lock = threading.RLock()  # a signal handler may use or close the pool within any of this

    # Slots

    def take_slot(self, lease: Lease[C]) -> bool:
        """Return whether `lease` holds a slot, now if one is free."""
        with self._lock:
            if lease in self.leases:
                return True
            if len(self.leases) >= self._limit:
                return False
            self._waiting.pop(lease, None)
            self.leases.add(lease)
            return True

    def request_slot(self, lease: Lease[C], wake: Callable[[], object]) -> bool:
        """Return whether `lease` holds a slot; if not, call `wake` once it does, in order."""
        with self._lock:
            if self.take_slot(lease):
                return True
            self._waiting[lease] = wake
            return False

    def release_slot(self, lease: Lease[C]) -> None:
        """Pass the slot to the longest-waiting request; close an unreleased connection.

        A caller's `finally` calls `leases.discard(lease)` first: one operation, where a call could
        be interrupted.
        """
        self.leases.discard(lease)
        connection, lease.connection = lease.connection, None
        if connection is not None:
            connection.drop()
        with self._lock:
            self._waiting.pop(lease, None)
            for other in list(self._waiting):
                if len(self.leases) >= self._limit:
                    break
                wake = self._waiting.pop(other, None)
                if wake is not None:
                    self.leases.add(other)
                    wake()

    # Connections

    def acquire(self, origin: Origin, lease: Lease[C]) -> None:
        """Give `lease` an idle connection to `origin`, or else room to open one."""
        not_before = time.monotonic() - self._keepalive_s
        has_surplus = False
        with self._lock:
            idle = self._idle.get(origin, [])
            while (connection := _popped(idle, -1)) is not None:
                unread = b"" if connection.idle_since < not_before else connection.unread()
                if unread is None and connection.is_reusable():
                    lease.connection = connection
                    break
                has_surplus = has_surplus or bool(unread)
                connection.drop()
            else:
                self._make_room()
        if has_surplus:
            self._report_surplus(origin)

    def release(self, origin: Origin, lease: Lease[C], connection: C, *, must_close: bool) -> None:
        """Return a connection to the pool; close it if reuse is unsafe.

        `must_close` says that the response ends the connection.
        """
        lease.connection = None
        if must_close:
            connection.drop()
            return
        if connection.has_surplus():
            connection.drop()
            self._report_surplus(origin)
            return
        now = connection.idle_since = time.monotonic()
        with self._lock:
            idle = self._idle.setdefault(origin, [])
            idle.append(connection)
            # After it was added, since a signal handler may close the pool at any moment.
            if self._is_closed or not connection.is_reusable():
                _remove(idle, connection)
                connection.drop()
                return
            oldest = next(iter(idle), connection)
            if oldest is connection or now < self._next_check:
                return
            self._next_check = now + self._check_interval_s
            if self._has_ended(oldest, now):
                _remove(idle, oldest)
                oldest.drop()
                self._next_check = now

    def discard(
        self, origin: Origin, lease: Lease[C], opened: Droppable | None, error: BaseException
    ) -> None:
        """Close the connection of a failed request: the acquired or the opened one."""
        acquired, lease.connection = lease.connection, None
        connection = opened if acquired is None else acquired
        if connection is not None:
            connection.drop()
        if isinstance(error, EarlyDataError):
            self._report_surplus(origin)

    def purge(self, origin: Origin) -> None:
        """Close the idle connections to `origin`: where one has ended, so have the others."""
        with self._lock:
            for connection in self._idle.pop(origin, ()):
                connection.drop()

    def close(self) -> None:
        """Close the idle connections now, and those in use when they are released."""
        self._is_closed = True
        with self._lock:
            self.abandon()

    def close_idle(self) -> int:
        """Close the idle connections and return their number; the pool stays open.

        Never waits: garbage collection calls it, in whatever thread, perhaps while that thread
        holds the lock.
        """
        if not self._lock.acquire(blocking=False):
            return 0
        try:
            idle = sum(map(len, list(self._idle.values())))
            self.abandon()
            return idle
        finally:
            self._lock.release()

    def __del__(self) -> None:
        self.abandon()

    def abandon(self) -> None:
        """Close the idle connections without the lock: a parent's thread may hold it."""
        for idle in list(self._idle.values()):
            while (connection := _popped(idle, -1)) is not None:
                connection.drop()

    def _has_ended(self, connection: C, now: float) -> bool:
        return connection.idle_since < now - self._keepalive_s or connection.unread() is not None

    def _make_room(self) -> None:
        """Close the oldest idle connection of some origin if the limit is reached."""
        lists = list(self._idle.values())
        if sum(map(len, lists)) + len(self.leases) <= self._limit:
            return
        for idle in lists:
            oldest = _popped(idle, 0)
            if oldest is not None:
                oldest.drop()
                return

    def _report_surplus(self, origin: Origin) -> None:
        if self._on_surplus is not None:
            self._on_surplus(origin)


# Steps that nothing can interrupt: a signal handler may use the pool between any two others.


def _popped(idle: list[C], index: int) -> C | None:
    try:
        return idle.pop(index)
    except IndexError:
        return None


def _remove(idle: list[C], connection: C) -> None:
    with contextlib.suppress(ValueError):
        idle.remove(connection)
