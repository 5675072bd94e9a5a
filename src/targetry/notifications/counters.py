"""The books of the notifier: accepted = sent + pending + dropped, at every moment.

The state of the books is one immutable value that is replaced in one assignment, so whoever reads it, from
whatever thread or signal handler, reads a whole one. Writing is for the holder of the queue's lock.
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
]

QUEUE_FULL: Final = "queue_full"  # count or bytes are at their limit: the newest of the longest queue
REJECTED: Final = "rejected"  # the API said no, and would say it again
EXPIRED: Final = "expired"  # too old, or failed too often while others got through
UNPROCESSED: Final = "unprocessed"  # the call was answered, but time and again without these ids
INVALID: Final = "invalid"  # cannot be written as JSON
CLOSED: Final = "closed"  # offered after `close`, or still pending when its time was over
SPOOL_LOST: Final = "spool_lost"  # was on disk, and can no longer be read
SPOOL_FOREIGN: Final = "spool_foreign"  # was on disk, for an address that this client does not have


class NotifierStats(msgspec.Struct, frozen=True):
    """Counts of notifications since the start of this process.

    `accepted`: all that were ever taken into the books, refused ones and `recovered` ones (left on disk by an earlier
    process) among them. It always equals `sent + pending + sum(dropped.values())`. `dropped` is by reason, see
    `counters`. `retries` counts calls that repeated an earlier one. Deliveries that hold telemetry only count 0
    notifications: `telemetry_dropped` is the number of those that were lost.
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
    """Every method is one transition that keeps the sum. `n` is a number of notifications; 0 means telemetry only."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state = NotifierStats()

    def accept(self, n: int) -> None:
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
        """Accepted and dropped at once."""
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
        """Accept and drop `n` notifications of several deliveries, and `telemetry` deliveries without any."""
        s = self.state
        self._replace(
            accepted=s.accepted + n,
            dropped=_added(s.dropped, reason, n),
            telemetry_dropped=s.telemetry_dropped + telemetry,
        )

    def recover(self, n: int) -> None:
        """Pending since an earlier process."""
        s = self.state
        self._replace(accepted=s.accepted + n, pending=s.pending + n, recovered=s.recovered + n)

    def send(self, n: int) -> None:
        s = self.state
        self._replace(sent=s.sent + n, pending=s.pending - n)

    def drop(self, reason: Reason, n: int, error: str | None = None) -> None:
        s = self.state
        self._replace(
            pending=s.pending - n,
            dropped=_added(s.dropped, reason, n),
            telemetry_dropped=s.telemetry_dropped + (not n),
            last_error=error or s.last_error,
        )

    def retry(self) -> None:
        self._replace(retries=self.state.retries + 1)

    def fail(self, error: str) -> None:
        """A call failed that will be repeated: nothing moves."""
        self._replace(last_error=error)

    def _replace(self, **changes: object) -> None:
        self.state = msgspec.structs.replace(self.state, **changes)


def with_uncounted(
    state: NotifierStats, pending: int, refused: Iterable[tuple[Reason, int, int]]
) -> NotifierStats:
    """Return a copy of `state` with what is not in it yet.

    That is `pending` notifications, and `refused` ones: reason, notifications, and deliveries of telemetry.
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
    # A new dict each time: the old one is part of a value that someone may be reading.
    return {**dropped, reason: dropped.get(reason, 0) + n} if n else dropped
