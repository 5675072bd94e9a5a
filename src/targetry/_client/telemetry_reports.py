"""Periodic flush of telemetry that no call of the Delivery API takes along.

Entries wait for the next call of the Delivery API, and decisions on device whose content is only prefetched make none.
Such entries are submitted a minute after the first of them, at 100 of them, and when the client is flushed or closed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from targetry._runtime.periodic_task import PeriodicTask
from targetry.delivery.prepare import PreparedRequest
from targetry.delivery.telemetry import Entries, TelemetryStore

INTERVAL_S: Final = 60.0
MAX_WAITING: Final = 100

Submit = Callable[[PreparedRequest, Entries], object]


class TelemetryReports:
    """Hands waiting entries to `submit`, which must not block, with the prepared call whose visitor they are sent for.

    While `has_backlog`, entries stay in the store, which is bounded: telemetry never takes the place of notifications
    that wait for the Delivery API.
    """

    def __init__(
        self,
        store: TelemetryStore,
        submit: Submit,
        has_backlog: Callable[[], bool],
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._store = store
        self._submit = submit
        self._has_backlog = has_backlog
        self._interval_s = interval_s
        self._prepared: PreparedRequest | None = None
        self._timer = PeriodicTask("targetry-telemetry", self._flush_when_due)
        self.due_at = 1
        """The number of waiting entries at which `note` is to be called."""

    def note(self, prepared: PreparedRequest) -> None:
        """Submit the entries that wait, or have that done within a minute. Takes microseconds, never raises."""
        self._prepared = prepared
        if len(self._store) >= MAX_WAITING:
            self.flush()
            return
        self.due_at = MAX_WAITING  # before the timer can set it back
        if not self._timer.schedule(self._interval_s):
            self.due_at = 1

    def flush(self) -> None:
        """Submit the entries that wait, if a decision on device was noted since the last time that all were sent."""
        prepared = self._prepared
        if prepared is not None and len(self._store) and not self._has_backlog():
            self._submit(prepared, self._store.take())

    def close(self, timeout_s: float) -> None:
        """Submit the entries that wait, and end. May be called twice."""
        self.flush()
        self._timer.close(timeout_s)

    def after_fork(self) -> None:
        """In a child: nothing waits, since the entries are the parent's."""
        self._store.forget()
        self._prepared = None
        self.due_at = 1
        self._timer.after_fork()

    def _flush_when_due(self) -> float | None:
        if self._has_backlog():
            return self._interval_s
        self.due_at = 1
        self.flush()
        return None
