"""Interface of a ledger, whatever database holds it."""

from __future__ import annotations

import abc
import time
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from types import TracebackType
from typing import Any, Protocol, Self

from targetry.ledger.event import (
    ActivityDescription,
    FirstImpression,
    LedgerEvent,
    Row,
    event_rows,
)
from targetry.ledger.group_commit import GroupCommit, LoopOutcome, Write
from targetry.ledger.selection import ALL_EVENTS, EventSelection
from targetry.ledger.sums import ActivitySums, Period, Segments, VisitorSums
from targetry.ledger.timeline import Timeline


class LedgerReader(Protocol):
    """Snapshot of a ledger. All methods raise `LedgerError`."""

    def events(self, selection: EventSelection = ALL_EVENTS) -> Iterator[LedgerEvent]:
        """Yield the selected events in the order of their recording."""

    def exposures(self, selection: EventSelection = ALL_EVENTS) -> Iterator[FirstImpression]:
        """Yield the selected first impressions of each visitor and activity, in any order."""

    def activities(self) -> list[ActivityDescription]:
        """Return the latest description of each activity."""

    @property
    def has_sums(self) -> bool:
        """Whether `sums`, `period` and `exposures` can be called."""

    @property
    def uncounted(self) -> int:
        """About the number of events that are not in the sums, as they could not be counted."""

    def sums(
        self, cap: float | None = None, *, amounts: bool = False, zone: tzinfo | None = None
    ) -> dict[str, ActivitySums]:
        """Return the sums by activity id; a visitor's revenue counts up to `cap` in cohorts.

        With `amounts`, they count the buyers by their revenue, too. Days are those of `zone`, of
        UTC by default.
        """

    def visitors(self, history_ms: int, zone: tzinfo | None = None) -> Iterator[VisitorSums]:
        """Yield the visitors who entered by the current shares, with what they did before."""

    def segments(self, name: str, cap: float | None = None, zone: tzinfo | None = None) -> Segments:
        """Return the sums by the value of a fact of the first impression, or by `NEW`."""

    def period(self) -> Period | None:
        """Return the period that the events cover, None for a ledger without events."""

    def timeline(self, now_ms: int) -> Timeline | None:
        """Return the timeline up to `now_ms` (epoch ms), None if the ledger has none."""

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class EventStore(abc.ABC):
    """Records events and descriptions of activities. Thread-safe."""

    _writer: GroupCommit

    @abc.abstractmethod
    def reader(self) -> LedgerReader:
        """Return a snapshot of the ledger. Raises `LedgerError`."""

    @abc.abstractmethod
    def _insertion(self, rows: Sequence[Row]) -> Write[list[bool]]: ...

    @abc.abstractmethod
    def _description(self, activities: Sequence[ActivityDescription], now_ms: int) -> Write[None]: ...

    def record(self, events: Sequence[LedgerEvent]) -> list[bool]:
        """Record events, all or none, and wait until they are durable.

        Returns:
            For each event whether it is new; False if one with its id was recorded before.

        Raises:
            OptionError: An event has a field of a wrong type or range.
            LedgerError: The events could not be recorded.
        """
        rows = event_rows(events)
        return self._writer.submit(self._insertion(rows), len(rows)).result() if rows else []

    async def arecord(self, events: Sequence[LedgerEvent]) -> list[bool]:
        """Record events as `record` does; a call canceled before its write starts records none."""
        import asyncio  # a quarter of the command's start-up time

        rows = event_rows(events)
        if not rows:
            return []
        outcome = LoopOutcome(asyncio.get_running_loop())
        self._writer.submit_for(outcome, self._insertion(rows), len(rows))
        are_new: list[bool] = await outcome.future
        return are_new

    def describe(self, activities: Sequence[ActivityDescription], *, now_ms: int | None = None) -> None:
        """Store descriptions of activities for reports.

        An activity with a known id is replaced; other stored activities stay. Of several with one
        id the first counts. The ledger keeps `shares_since_ms` of the first description, and sets
        it to `now_ms` if the shares differ from the stored ones.

        Args:
            activities: The descriptions.
            now_ms: The time in epoch milliseconds; by default the clock's.

        Raises:
            LedgerError: The descriptions could not be stored.
        """
        at = int(time.time() * 1000) if now_ms is None else now_ms
        first: dict[str, ActivityDescription] = {}
        for activity in activities:
            first.setdefault(activity.id, activity)
        self._writer.submit(self._description(list(first.values()), at)).result()

    def events(self) -> Iterator[LedgerEvent]:
        """Yield the events of a snapshot in the order of their recording. Raises `LedgerError`."""
        with self.reader() as reader:
            yield from reader.events()

    def activities(self) -> list[ActivityDescription]:
        """Return the latest description of each activity. Raises `LedgerError`."""
        with self.reader() as reader:
            return reader.activities()

    def close(self) -> None:
        """Commit the waiting writes and close the database. Idempotent."""
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def shares_differ(known: dict[str, float | None], activity: ActivityDescription) -> bool:
    """Return whether an activity's experiences or shares differ from the stored ones."""
    return known != {one.id: one.share for one in activity.experiences}


def discard_key(keys: set[Any], key: object) -> bool:
    """Remove a key from a set; return whether the set held it."""
    if key not in keys:
        return False
    keys.remove(key)
    return True
