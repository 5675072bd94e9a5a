"""Counters of notifications: accepted = sent + pending + dropped, at every moment.

The state is one immutable value that is replaced in one assignment, so that every thread and signal
handler reads a consistent one. Only the holder of the queue's lock replaces it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

Reason = Literal[
    "queue_full",
    "rejected",
    "expired",
    "unprocessed",
    "invalid",
    "closed",
    "spool_lost",
    "spool_foreign",
    "response",
]

QUEUE_FULL: Final = "queue_full"  # the limit in count or bytes is reached
REJECTED: Final = "rejected"  # the API refuses the request
EXPIRED: Final = "expired"  # too old, or failed too often while others succeeded
UNPROCESSED: Final = "unprocessed"  # accepted, but no response lists these ids
INVALID: Final = "invalid"  # not serializable
CLOSED: Final = "closed"  # submitted after `close`, or pending when its time was over
SPOOL_LOST: Final = "spool_lost"  # unreadable on disk
SPOOL_FOREIGN: Final = "spool_foreign"  # on disk for another client account
RESPONSE: Final = "response"  # impression of a page that failed; not an event


class NotifierStats(msgspec.Struct, frozen=True):
    """Counts of notifications since the start of this process.

    Attributes:
        accepted: All that were counted, including refused ones and recovered ones. It always equals
            `sent + pending + sum(dropped.values())`.
        sent: Notifications that the Delivery API accepted.
        pending: Notifications in memory, on disk or under way.
        dropped: Notifications that were not sent, by reason, as in the event `notification_failed`.
        recovered: Notifications that an earlier process left on disk.
        retries: Calls that repeat an earlier one.
        telemetry_dropped: Requests with telemetry only, which have 0 notifications, that were
            dropped.
        last_error: The last error, in one line.
    """

    accepted: int = 0
    sent: int = 0
    pending: int = 0
    dropped: dict[str, int] = {}
    recovered: int = 0
    retries: int = 0
    telemetry_dropped: int = 0
    last_error: str | None = None


class DeliveryCounters:
    """Transitions of the counters, each of which keeps the sum.

    `n` is the number of notifications of a delivery, 0 for telemetry only.
    """

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state = NotifierStats()

    def accept(self, n: int) -> None:
        """Count a delivery as pending."""
        s = self.state
        self.state = NotifierStats(
            s.accepted + n,
            s.sent,
            s.pending + n,
            s.dropped,
            s.recovered,
            s.retries,
            s.telemetry_dropped,
            s.last_error,
        )

    def refuse(self, reason: Reason, n: int) -> None:
        """Count a delivery as accepted and dropped."""
        s = self.state
        self.state = NotifierStats(
            s.accepted + n,
            s.sent,
            s.pending,
            _added(s.dropped, reason, n),
            s.recovered,
            s.retries,
            s.telemetry_dropped + (not n),
            s.last_error,
        )

    def refuse_all(self, reason: Reason, n: int, telemetry: int) -> None:
        """Count several deliveries as accepted and dropped at once."""
        s = self.state
        self._replace(
            accepted=s.accepted + n,
            dropped=_added(s.dropped, reason, n),
            telemetry_dropped=s.telemetry_dropped + telemetry,
        )

    def recover(self, n: int) -> None:
        """Count notifications of an earlier process as pending."""
        s = self.state
        self._replace(accepted=s.accepted + n, pending=s.pending + n, recovered=s.recovered + n)

    def send(self, n: int) -> None:
        """Count pending notifications as sent."""
        s = self.state
        self._replace(sent=s.sent + n, pending=s.pending - n)

    def drop(self, reason: Reason, n: int, error: str | None = None) -> None:
        """Count pending notifications as dropped."""
        s = self.state
        self._replace(
            pending=s.pending - n,
            dropped=_added(s.dropped, reason, n),
            telemetry_dropped=s.telemetry_dropped + (not n),
            last_error=error or s.last_error,
        )

    def retry(self) -> None:
        """Count a call that repeats an earlier one."""
        self._replace(retries=self.state.retries + 1)

    def fail(self, error: str) -> None:
        """Record the error of a call that will be repeated."""
        self._replace(last_error=error)

    def _replace(self, **changes: object) -> None:
        self.state = msgspec.structs.replace(self.state, **changes)


def with_uncounted(
    state: NotifierStats, pending: int, refused: Iterable[tuple[Reason, int, int]]
) -> NotifierStats:
    """Return a copy of `state` with deliveries that are not counted in it yet.

    Args:
        state: The counters.
        pending: Pending notifications.
        refused: Dropped ones: reason, notifications, and deliveries with telemetry only.
    """
    dropped, telemetry = dict(state.dropped), state.telemetry_dropped
    accepted = state.accepted + pending
    for reason, n, telemetry_only in refused:
        dropped = _added(dropped, reason, n)
        accepted += n
        telemetry += telemetry_only
    return msgspec.structs.replace(
        state,
        accepted=accepted,
        pending=state.pending + pending,
        dropped=dropped,
        telemetry_dropped=telemetry,
    )


def _added(dropped: dict[str, int], reason: Reason, n: int) -> dict[str, int]:
    # The old dict is part of a value that another thread may be reading.
    return {**dropped, reason: dropped.get(reason, 0) + n} if n else dropped
