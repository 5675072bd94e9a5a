"""Connections between two requests: kept open for the next one, and never more than were allowed.

Only bookkeeping; nothing here waits. The connection used last is used first, so that those which a burst of
requests left behind grow old and go. One that its server has closed meanwhile is noticed when it is taken.
"""

from __future__ import annotations

import threading
import time
from typing import Generic, Protocol, TypeVar

Origin = tuple[str, str, int]  # scheme, host, port


class Connection(Protocol):
    def is_available(self) -> bool: ...
    def is_idle(self) -> bool: ...
    def is_closed(self) -> bool: ...


class Socket(Protocol):
    def has_something_to_read(self) -> bool: ...
    def drop(self) -> None: ...


C = TypeVar("C", bound=Connection)


class Kept(Generic[C]):
    """A connection, the socket under it, and since when it has had nothing to do."""

    __slots__ = ("connection", "since", "socket")

    def __init__(self, connection: C, socket: Socket) -> None:
        self.connection = connection
        self.socket = socket
        self.since = 0.0

    def is_good(self, not_before: float) -> bool:
        """Whether the next request can be sent on it. Bytes that nobody asked for are an end of file, or mean one."""
        return (
            self.since >= not_before
            and self.connection.is_available()
            and not self.socket.has_something_to_read()
        )


class KeptConnections(Generic[C]):
    """The connections of one process or event loop. Safe to use from several threads."""

    def __init__(self, limit: int, keepalive_seconds: float) -> None:
        self._limit = limit
        self._keepalive = keepalive_seconds
        self._idle: dict[Origin, list[Kept[C]]] = {}
        self._open = 0  # idle ones, and those in use
        self._closed = False
        self._lock = threading.Lock()

    def take(self, origin: Origin) -> Kept[C] | None:
        """A connection to `origin`, or nothing, and then one must be opened. Either way `give` or `lose` must follow."""
        not_before = time.monotonic() - self._keepalive
        with self._lock:
            idle = self._idle.get(origin)
            while idle:
                kept = idle.pop()
                if kept.is_good(not_before):
                    return kept
                self._drop(kept)
            self._make_room()
            self._open += 1
        return None

    def room_for_one(self) -> None:
        """As `take` that finds nothing: the caller wants a new connection in any case."""
        with self._lock:
            self._make_room()
            self._open += 1

    def give(self, origin: Origin, kept: Kept[C]) -> None:
        """Take it back after a request: to be kept, if it can be."""
        connection = kept.connection
        kept.since = time.monotonic()
        with self._lock:
            if self._closed or connection.is_closed() or not connection.is_idle():
                self._drop(kept)
                return
            idle = self._idle.setdefault(origin, [])
            idle.append(kept)
            if len(idle) > 1 and not idle[0].is_good(kept.since - self._keepalive):
                self._drop(idle.pop(0))

    def lose(self, kept: Kept[C] | None) -> None:
        """Count a connection as gone that was taken and came to nothing; close what is there of it."""
        with self._lock:
            if kept is None:
                self._open -= 1
            else:
                self._drop(kept)

    def forget(self, origin: Origin) -> None:
        """Drop the idle connections to `origin`: one of them was found dead, so the others will be."""
        with self._lock:
            for kept in self._idle.pop(origin, ()):
                self._drop(kept)

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
            idle = sum(map(len, self._idle.values()))
            self.abandon()
            return idle
        finally:
            self._lock.release()

    def __del__(self) -> None:
        self.abandon()

    def abandon(self) -> None:
        """As `close`, for what a parent process or a closed event loop left: its lock may be held for ever."""
        for idle in self._idle.values():
            while idle:
                self._drop(idle.pop())
        self._idle.clear()

    def _drop(self, kept: Kept[C]) -> None:
        self._open -= 1
        kept.socket.drop()

    def _make_room(self) -> None:
        """Before a connection is opened: drop the oldest idle one of some origin, if as many are open as may be."""
        self._idle = {origin: idle for origin, idle in self._idle.items() if idle}
        if self._open >= self._limit and self._idle:
            self._drop(next(iter(self._idle.values())).pop(0))
