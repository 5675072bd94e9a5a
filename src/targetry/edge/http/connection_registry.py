"""Registry of open connections; evicts those that have waited longest at the connection limit.

One timer checks all connections, a few times in each period that is allowed: a timer for each
request would cost more than parsing it.
"""

from __future__ import annotations

import asyncio
import heapq
import operator
from typing import Final, Protocol

from targetry.edge.http.limits import LimitMonitor, Limits
from targetry.edge.http.write_batch import WriteBatch
from targetry.edge.observability.metrics import Metrics

_EVICTED_SHARE: Final = (
    64  # one in so many is evicted at a time, since each eviction looks at all connections
)
_CHECKS: Final = 4
_LONGEST_INTERVAL_S: Final = 1.0


class RegisteredConnection(Protocol):
    """Interface of a connection to the registry.

    `since`: when it entered its state, in the event loop's time.
    """

    since: float

    @property
    def unread_bytes(self) -> int:
        """Size of the responses that the client has not read yet."""

    @property
    def is_waiting(self) -> bool:
        """Whether the client has to act next: to begin a request, or to go on with one."""

    def check_time(self, now: float) -> None:
        """Close the connection if its client takes too long."""

    def evict(self) -> None:
        """Close the connection at once."""


class ConnectionRegistry:
    """Open connections of one event loop."""

    def __init__(self, limits: Limits, monitor: LimitMonitor, metrics: Metrics) -> None:
        self.limits = limits
        self.monitor = monitor
        self.writes = WriteBatch()
        self._open: dict[RegisteredConnection, None] = {}  # in the order of their arrival
        self._gauge = metrics.connections
        self._interval_s = min(min(limits.idle_s, limits.request_s) / _CHECKS, _LONGEST_INTERVAL_S)
        self._is_checking = False

    def add(self, connection: RegisteredConnection, loop: asyncio.AbstractEventLoop) -> bool:
        """Register a connection, evicting others at the limit.

        Return False if all others are being served.
        """
        if len(self._open) >= self.limits.connections and not self._evict_longest_waiting():
            self.monitor.record("busy")
            return False
        self._open[connection] = None
        self._gauge.inc()
        if not self._is_checking:
            self._is_checking = True
            loop.call_later(self._interval_s, self._check, loop)
        return True

    def remove(self, connection: RegisteredConnection) -> bool:
        """Unregister a connection. Return False if it was not registered."""
        if connection not in self._open:
            return False
        del self._open[connection]
        self._gauge.dec()
        return True

    def _evict_longest_waiting(self) -> bool:
        waiting = (one for one in self._open if one.is_waiting)
        count = max(1, self.limits.connections // _EVICTED_SHARE)
        longest = heapq.nsmallest(count, waiting, key=operator.attrgetter("since"))
        for one in longest:
            self.remove(one)  # the event loop reports its end later, and its place is needed now
            one.evict()
            self.monitor.record("connections")
        return bool(longest)

    def _evict_most_unread(self) -> None:
        """Evict the connections with most unread bytes, until all together are within the limit."""
        total = sum(one.unread_bytes for one in self._open)
        if total <= self.limits.unsent_bytes:
            return
        for one in sorted(self._open, key=operator.attrgetter("unread_bytes"), reverse=True):
            total -= one.unread_bytes
            self.remove(one)
            one.evict()
            self.monitor.record("unsent")
            if total <= self.limits.unsent_bytes:
                return

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in list(self._open):
            connection.check_time(now)
        self._evict_most_unread()
        self.monitor.log_due()
        self._is_checking = bool(self._open)
        if self._is_checking:
            loop.call_later(self._interval_s, self._check, loop)
