"""Read access to a ledger: events, activities and sums of a snapshot."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from datetime import tzinfo
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from targetry._runtime.logger import Log
from targetry.ledger.counting import commit_chunk, uncounted
from targetry.ledger.database import (
    BUSY_S,
    FILE_NAME,
    Progress,
    format_of,
    no_progress,
    open_for_counting,
    open_for_reading,
)
from targetry.ledger.errors import LedgerError, ledger_error, translate_errors
from targetry.ledger.event import (
    NEW,
    ActivityDescription,
    ExperienceDescription,
    FirstImpression,
    LedgerEvent,
    event_of_row,
)
from targetry.ledger.group_commit import WriteLock
from targetry.ledger.schema import COUNTED_FORMAT, FACTS_FORMAT, NEW_EVENTS_FORMAT, SUMS_FORMAT, is_event
from targetry.ledger.selection import (
    ALL_EVENTS,
    EventSelection,
    event_condition,
    exposure_condition,
)
from targetry.ledger.sums import (
    ActivitySums,
    Period,
    Segments,
    VisitorSums,
    read_segments,
    read_sums,
    read_visitors,
)
from targetry.ledger.timeline import Timeline, read_timeline

# Other programs can write to the file as well, so rows that are no events are skipped.
_EVENTS: Final = (
    f"SELECT {', '.join(LedgerEvent.__struct_fields__[:-1])}, {{facts}} FROM {{table}} WHERE {is_event(has_location=True)} "
    "AND typeof(order_id) IN ('text', 'null') AND typeof(order_total) IN ('real', 'null')"
)
_EXPOSURES: Final = (
    "SELECT participation.visitor, first_ms, participation.activity_id, participation.experience_id, location "
    "FROM participation JOIN event ON event.id = first_id WHERE typeof(location) = 'text'"
)
_PERIOD: Final = (
    "SELECT (SELECT {recorded} FROM event ORDER BY seq LIMIT 1), (SELECT {recorded} FROM event ORDER BY seq DESC LIMIT 1)"
).format(recorded="CASE WHEN recorded_ms < timestamp_ms THEN recorded_ms ELSE timestamp_ms END")
_ACTIVITIES: Final = (
    "SELECT id, CASE typeof(name) WHEN 'text' THEN name END, CASE typeof(type) WHEN 'text' THEN type END, "
    "CASE typeof(shares_since_ms) WHEN 'integer' THEN max(shares_since_ms, 0) ELSE 0 END "
    "FROM activity WHERE typeof(id) = 'text' ORDER BY rowid"
)
EXPERIENCES: Final = (
    "SELECT id, CASE typeof(name) WHEN 'text' THEN name END, CASE WHEN share BETWEEN 0 AND 100 THEN share END "
    "FROM experience WHERE activity_id = ? AND typeof(id) = 'text' ORDER BY position"
)
"""Selects id, name and share of the experiences of an activity."""


class Reader:
    """Snapshot of a ledger, with its sums.

    The sums are those that were counted last if the process has no write permission, or if other
    processes hold the write lock for too long; a warning is logged then.

    Close it soon: SQLite cannot shorten its journal while a snapshot is open.

    Attributes:
        uncounted: About the number of events that are not in the sums.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, uncounted: int = 0) -> None:
        self.uncounted = uncounted
        self._path = path
        self._connection = connection

    @classmethod
    def open(cls, folder: str | os.PathLike[str], *, progress: Progress = no_progress) -> Self:
        """Open the ledger of a folder, and bring its sums up to date if the file can be written.

        Args:
            folder: The ledger's folder.
            progress: Called while events are counted, with their number so far and that of all.

        Raises:
            NoLedgerError: The folder has no ledger.
            LedgerError: The ledger cannot be read.
        """
        path = Path(folder)
        connection = open_for_reading(path, BUSY_S)
        with contextlib.ExitStack() as undo, translate_errors(path / FILE_NAME):
            undo.callback(connection.close)
            waiting = _uncounted(connection)
            if waiting:
                connection.close()
                connection = _count(path, waiting, progress)
                undo.callback(connection.close)
                waiting = _uncounted(connection)
            undo.pop_all()
        return cls(path / FILE_NAME, connection, waiting)

    def events(self, selection: EventSelection = ALL_EVENTS) -> Iterator[LedgerEvent]:
        """Yield the selected events in the order of their recording. Raises `LedgerError`."""
        condition, parameters = event_condition("event", selection, "?")
        with translate_errors(self._path):
            version = format_of(self._connection)
            facts = "CASE typeof(facts) WHEN 'text' THEN facts END" if version >= FACTS_FORMAT else "NULL"
            tables = ["event", "new_event AS event"] if version >= NEW_EVENTS_FORMAT else ["event"]
            for table in tables:
                query = f"{_EVENTS.format(facts=facts, table=table)} AND {condition} ORDER BY seq"
                yield from map(event_of_row, self._connection.execute(query, parameters))

    def exposures(self, selection: EventSelection = ALL_EVENTS) -> Iterator[FirstImpression]:
        """Yield the selected first impressions of each visitor and activity, in any order.

        Raises:
            LedgerError: The ledger cannot be read, or `has_sums` is False.
        """
        condition, parameters = exposure_condition(selection, "?")
        with translate_errors(self._path):
            for row in self._connection.execute(f"{_EXPOSURES} AND {condition}", parameters):
                yield FirstImpression(*row)

    def activities(self) -> list[ActivityDescription]:
        """Return the latest description of each activity. Raises `LedgerError`."""
        run = self._connection.execute
        with translate_errors(self._path):
            return [
                ActivityDescription(
                    key,
                    name,
                    kind,
                    tuple(ExperienceDescription(*row) for row in run(EXPERIENCES, (key,))),
                    since,
                )
                for key, name, kind, since in run(_ACTIVITIES).fetchall()
            ]

    @property
    def has_sums(self) -> bool:
        """Whether the file holds sums, unlike the first format. Raises `LedgerError`."""
        with translate_errors(self._path):
            return format_of(self._connection) >= SUMS_FORMAT

    def sums(
        self, cap: float | None = None, *, amounts: bool = False, zone: tzinfo | None = None
    ) -> dict[str, ActivitySums]:
        """Return the sums by activity id.

        The time depends on the numbers of days and buyers in UTC, on that of visitors in a zone.

        Args:
            cap: The amount up to which a visitor's revenue counts in the cohorts.
            amounts: Whether to count the buyers by their revenue, too.
            zone: The time zone of the days, None for UTC.

        Raises:
            LedgerError: The ledger cannot be read, or `has_sums` is False.
        """
        with translate_errors(self._path):
            return read_sums(self._connection, cap, amounts=amounts, zone=zone)

    def visitors(self, history_ms: int, zone: tzinfo | None = None) -> Iterator[VisitorSums]:
        """Yield the visitors who entered by the current shares; the time depends on their number.

        Args:
            history_ms: The length of the period before the first impression.
            zone: The time zone of the days, None for UTC.

        Raises:
            LedgerError: The ledger cannot be read, or `has_sums` is False.
        """
        with translate_errors(self._path):
            yield from read_visitors(self._connection, history_ms, zone)

    def segments(self, name: str, cap: float | None = None, zone: tzinfo | None = None) -> Segments:
        """Return the sums by the value of a fact; none before the file has the current format.

        The time is that of `sums`, and grows with the number of values. New and returning visitors
        are read from their events, in a file of any format.

        Args:
            name: Name of the fact, as of `LedgerEvent.facts`, or `NEW`.
            cap: The amount up to which a visitor's revenue counts.
            zone: The time zone of the days, None for UTC.

        Raises:
            LedgerError: The ledger cannot be read, or `has_sums` is False.
        """
        with translate_errors(self._path):
            return (
                read_segments(self._connection, name, cap, zone)
                if name == NEW or format_of(self._connection) >= COUNTED_FORMAT
                else {}
            )

    def timeline(self, now_ms: int) -> Timeline | None:
        """Return clicks, orders and revenue over time, up to `now_ms` (epoch ms).

        Returns:
            The timeline, None without events in the 48 days before.

        Raises:
            LedgerError: The ledger cannot be read, or `has_sums` is False.
        """
        with translate_errors(self._path):
            return read_timeline(self._connection, now_ms)

    def period(self) -> Period | None:
        """Return the period that the events cover, None for a ledger without events.

        Raises:
            LedgerError: The ledger cannot be read, or `has_sums` is False.
        """
        with translate_errors(self._path):
            first, last = self._connection.execute(_PERIOD).fetchone()
            (removed,) = self._connection.execute("SELECT removed FROM retention").fetchone()
        is_known = isinstance(first, int) and isinstance(last, int)
        return Period(first, last, removed) if is_known else None

    def close(self) -> None:
        """Close the file. Idempotent."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _uncounted(connection: sqlite3.Connection) -> int:
    """Return the number of events that are not in the sums, about."""
    return uncounted(connection) if format_of(connection) >= NEW_EVENTS_FORMAT else 0


def _count(folder: Path, waiting: int, progress: Progress) -> sqlite3.Connection:
    """Count the events and return a snapshot with all of them, or with those that can be counted.

    The write lock is held from the last count to the snapshot, so that no event comes in between.
    """
    lock, done, path = WriteLock(folder, BUSY_S), 0, folder / FILE_NAME
    try:
        with contextlib.closing(open_for_counting(folder, BUSY_S)) as connection:
            while True:
                with lock.hold_in_background():
                    counted = commit_chunk(connection)
                    if not uncounted(connection):
                        return open_for_reading(folder, BUSY_S)
                done += counted
                progress(min(done, waiting), waiting)
    except (LedgerError, sqlite3.Error) as error:
        snapshot, cause = open_for_reading(folder, BUSY_S), ledger_error(path, error)
    Log().warning("about %d events are not in the report: %s; try again", _uncounted(snapshot), cause)
    return snapshot
