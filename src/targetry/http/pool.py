"""The connection pool: connections kept open between requests, and never more than were allowed.

A request holds a `Lease` from before it waits for its place until after it has given it back. The set of leases is the
only count of what is in use, and a lease is taken out of it in one step that no signal handler can interrupt, so an
exception raised by a handler, wherever it strikes, never costs a place.

The connection used last is used first, so that those which a burst of requests left behind grow old and go. One that
its server has closed meanwhile is noticed when it is taken.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

Origin = tuple[str, str, int]  # scheme, host, port


class Connection(Protocol):
    def is_available(self) -> bool: ...
    def is_idle(self) -> bool: ...
    def is_closed(self) -> bool: ...


class Socket(Protocol):
    def unread(self) -> bytes | None:
        """Return what could be read without waiting: None for nothing, b"" for the end of the connection."""
        ...

    def has_surplus(self) -> bool:
        """Return whether bytes were read that belong to no response."""
        ...

    def drop(self) -> None: ...


C = TypeVar("C", bound=Connection)


class Kept(Generic[C]):
    """A connection, the socket under it, and since when it has had nothing to do."""

    __slots__ = ("connection", "since", "socket")

    def __init__(self, connection: C, socket: Socket) -> None:
        self.connection = connection
        self.socket = socket
        self.since = 0.0


class Lease(Generic[C]):
    """A request's place in the pool, and the connection that it was given, if any."""

    __slots__ = ("kept",)

    def __init__(self) -> None:
        self.kept: Kept[C] | None = None


class KeptConnections(Generic[C]):
    """The connections of one process or event loop. Safe to use from several threads."""

    def __init__(
        self, limit: int, keepalive_seconds: float, on_surplus: Callable[[Origin], object] | None = None
    ) -> None:
        """`on_surplus` is called for each connection dropped because it carried bytes that no request asked for."""
        self._limit = limit
        self._keepalive = keepalive_seconds
        self._on_surplus = on_surplus
        self._idle: dict[Origin, list[Kept[C]]] = {}
        self.leased: set[Lease[C]] = set()  # those with a place
        self._waiting: dict[Lease[C], Callable[[], object]] = {}
        self._closed = False
        self._lock = threading.RLock()  # a signal handler may use or close the pool inside of any of this

    # places

    def enter(self, lease: Lease[C], wake: Callable[[], object]) -> bool:
        """Give `lease` a place, or remember to call `wake` when it has one, in the order of coming."""
        with self._lock:
            if lease in self.leased:
                return True
            if len(self.leased) < self._limit:
                self._waiting.pop(lease, None)
                self.leased.add(lease)
                return True
            self._waiting[lease] = wake
            return False

    def leave(self, lease: Lease[C]) -> None:
        """Give the place back, to the one that waits longest; drop a connection that was not kept.

        A caller's `finally` has `leased.discard(lease)` before this: a single operation, where a call could be interrupted.
        """
        self.leased.discard(lease)
        kept, lease.kept = lease.kept, None
        if kept is not None:
            kept.socket.drop()
        with self._lock:
            self._waiting.pop(lease, None)
            for other in list(self._waiting):
                if len(self.leased) >= self._limit:
                    break
                wake = self._waiting.pop(other, None)
                if wake is not None:
                    self.leased.add(other)
                    wake()

    # connections

    def take(self, origin: Origin, lease: Lease[C]) -> None:
        """Give `lease` an idle connection to `origin`, or nothing; then one may be opened."""
        not_before = time.monotonic() - self._keepalive
        surplus = False
        with self._lock:
            idle = self._idle.get(origin, [])
            while (kept := _popped(idle, -1)) is not None:
                unread = b"" if kept.since < not_before else kept.socket.unread()
                if unread is None and kept.connection.is_available():
                    lease.kept = kept
                    break
                surplus = surplus or bool(unread)
                kept.socket.drop()
            else:
                self._make_room()
        if surplus:
            self.report_surplus(origin)

    def keep(self, origin: Origin, kept: Kept[C], *, must_close: bool = False) -> None:
        """Keep a connection whose response is complete for the next request, if it can be; else drop it.

        `must_close`: the response ends the connection.
        """
        if must_close:
            kept.socket.drop()
            return
        if kept.socket.has_surplus():
            kept.socket.drop()
            self.report_surplus(origin)
            return
        kept.since = time.monotonic()
        with self._lock:
            idle = self._idle.setdefault(origin, [])
            idle.append(kept)
            # After it was added, since a signal handler may close the pool at any moment.
            if self._closed or kept.connection.is_closed() or not kept.connection.is_idle():
                _discard(idle, kept)
                kept.socket.drop()
                return
            oldest = next(iter(idle), kept)
            if oldest is not kept and self._has_ended(oldest, kept.since):
                _discard(idle, oldest)
                oldest.socket.drop()

    def forget(self, origin: Origin) -> None:
        """Drop the idle connections to `origin`: one of them was found dead, so the others will be."""
        with self._lock:
            for kept in self._idle.pop(origin, ()):
                kept.socket.drop()

    def close(self) -> None:
        """Drop the idle connections now, and those in use when they are given back."""
        self._closed = True
        with self._lock:
            self.abandon()

    def let_go(self) -> int:
        """Drop the idle connections and return how many there were. Others may be kept afterwards.

        Never waits: it is called when objects are collected, in whatever thread, perhaps while that holds the lock.
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
        """As `close`, for what a parent process or a closed event loop left: its lock may be held for ever."""
        for idle in list(self._idle.values()):
            while (kept := _popped(idle, -1)) is not None:
                kept.socket.drop()

    def _has_ended(self, kept: Kept[C], now: float) -> bool:
        return kept.since < now - self._keepalive or kept.socket.unread() is not None

    def _make_room(self) -> None:
        """Before a connection is opened: drop the oldest idle one of some origin, if as many are open as may be."""
        lists = list(self._idle.values())
        if sum(map(len, lists)) + len(self.leased) <= self._limit:
            return
        for idle in lists:
            oldest = _popped(idle, 0)
            if oldest is not None:
                oldest.socket.drop()
                return

    def report_surplus(self, origin: Origin) -> None:
        """Report that bytes came from `origin` that belong to no response."""
        if self._on_surplus is not None:
            self._on_surplus(origin)


# Steps that nothing can interrupt: a signal handler may use the pool between any two others.


def _popped(idle: list[Kept[C]], place: int) -> Kept[C] | None:
    try:
        return idle.pop(place)
    except IndexError:
        return None


def _discard(idle: list[Kept[C]], kept: Kept[C]) -> None:
    with contextlib.suppress(ValueError):
        idle.remove(kept)
