"""Who is connected to an edge, and who has to go (RELIABILITY B7).

One timer looks at all connections, a few times in each time that is allowed: a timer for each request would cost more than the request's
parsing. A connection that comes when there are as many as may be makes those go that have waited longest for their
client; those whose request is being answered stay.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import operator
from typing import Final, Protocol

from targetry.edge.http.limits import Breaches, Limits
from targetry.edge.observability.metrics import Metrics

_SHARE: Final = (
    64  # of all connections one in so many goes at a time, since looking for them takes a look at all
)
_LOOKS: Final = 4
_SLOWEST_LOOK_S: Final = 1.0


class Connection(Protocol):
    """What the door wants to know. `since`: the loop's time since when it is in its state."""

    since: float

    @property
    def unsent(self) -> int:
        """Bytes of answers that its client has not taken yet."""

    @property
    def is_waiting(self) -> bool:
        """For its client: to begin a request, or to go on with one."""

    def look(self, now: float) -> None:
        """End what has taken too long."""

    def make_room(self) -> None:
        """End at once."""


class Door:
    """The connections of one event loop."""

    def __init__(self, limits: Limits, breaches: Breaches, metrics: Metrics) -> None:
        self.limits = limits
        self.breaches = breaches
        self._inside: dict[Connection, None] = {}  # in the order in which they came
        self._gauge = metrics.connections
        self._look_s = min(min(limits.idle_s, limits.request_s) / _LOOKS, _SLOWEST_LOOK_S)
        self._is_watched = False

    @classmethod
    def usual(cls) -> Door:
        """One of its own, with the usual limits."""
        metrics = Metrics(list, lambda: (0, 0))
        return cls(Limits(), Breaches(Limits(), metrics, logging.getLogger("targetry.edge")), metrics)

    def enter(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> bool:
        """Let one in. False: there is no room for it."""
        if len(self._inside) >= self.limits.connections and not self._made_room():
            self.breaches.note("busy")
            return False
        self._inside[connection] = None
        self._gauge.inc()
        if not self._is_watched:
            self._is_watched = True
            loop.call_later(self._look_s, self._look, loop)
        return True

    def leave(self, connection: Connection) -> None:
        if connection in self._inside:
            del self._inside[connection]
            self._gauge.dec()

    def _made_room(self) -> bool:
        waiting = (one for one in self._inside if one.is_waiting)
        count = max(1, self.limits.connections // _SHARE)
        longest = heapq.nsmallest(count, waiting, key=operator.attrgetter("since"))
        for one in longest:
            self.leave(one)  # its end is told later, and its place is needed now
            one.make_room()
            self.breaches.note("connections")
        return bool(longest)

    def _limit_unsent(self) -> None:
        """End the connections with most unread bytes, until all together have no more than the limit."""
        total = sum(one.unsent for one in self._inside)
        if total <= self.limits.unsent_bytes:
            return
        for one in sorted(self._inside, key=operator.attrgetter("unsent"), reverse=True):
            total -= one.unsent
            self.leave(one)
            one.make_room()
            self.breaches.note("unsent")
            if total <= self.limits.unsent_bytes:
                return

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in list(self._inside):
            connection.look(now)
        self._limit_unsent()
        self.breaches.tell()
        self._is_watched = bool(self._inside)
        if self._is_watched:
            loop.call_later(self._look_s, self._look, loop)
