"""Read access to a ledger in PostgreSQL: events, activities and sums of a snapshot."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo
from types import TracebackType
from typing import Any, Final, Self

from targetry.ledger.database import Progress, no_progress
from targetry.ledger.event import (
    NEW,
    ActivityDescription,
    ExperienceDescription,
    FirstImpression,
    LedgerEvent,
    event_of_row,
)
from targetry.ledger.postgres.connection import connect
from targetry.ledger.postgres.counting import FORMAT, count_events, waiting_events
from targetry.ledger.postgres.errors import translated
from targetry.ledger.postgres.schema import (
    FACTS_FORMAT,
    SEGMENTS_FORMAT,
    SUMS_FORMAT,
    check_exists,
    read_format,
)
from targetry.ledger.postgres.sums import (
    ACTIVITIES,
    AMOUNTS,
    BUYERS,
    COHORTS,
    FACT,
    IMPRESSIONS,
    SEGMENT_BUYERS,
    SEGMENT_COHORTS,
    SUMS_OF_VISITORS,
    VISIT,
    VISITORS,
)
from targetry.ledger.postgres.timeline import read_timeline
from targetry.ledger.schema import MICROS
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
    add_amounts,
    build_segments,
    build_sums,
    build_visitors,
    step_ms,
    with_buyers,
)
from targetry.ledger.timeline import Timeline

_EVENTS: Final = f"SELECT {', '.join(LedgerEvent.__struct_fields__[:-1])}, {{facts}} FROM targetry_event"
_EXPOSURES: Final = (
    "SELECT participation.visitor, first_ms, participation.activity_id, participation.experience_id, location "
    "FROM targetry_participation AS participation JOIN targetry_event ON targetry_event.id = first_id"
)
_ROWS_AT_ONCE: Final = 2_000
_PERIOD: Final = (
    "SELECT min(least(timestamp_ms, recorded_ms)), max(least(timestamp_ms, recorded_ms)), "
    "(SELECT removed FROM targetry_ledger) FROM targetry_event"
)


class PostgresReader:
    """Snapshot of a ledger in PostgreSQL, in a transaction that is read-only.

    Attributes:
        has_sums: Whether the tables hold sums, unlike those of the first format.
        uncounted: The number of events that are not in the sums.
    """

    def __init__(self, url: str, connection: Any, version: int, uncounted: int = 0) -> None:
        self.has_sums = version >= SUMS_FORMAT
        self.uncounted = uncounted
        self._format = version
        self._url = url
        self._connection = connection

    @classmethod
    def open(cls, url: str, *, progress: Progress = no_progress) -> Self:
        """Open the ledger of a database, and bring its sums up to date.

        A role that may only read gets the sums that were counted last.

        Args:
            url: An address like `postgresql://user:password@host:5432/database`.
            progress: Called while events are counted, with their number so far and that of all.

        Raises:
            OptionError: The address is wrong.
            MissingExtraError: The extra `postgres` is not installed.
            NoLedgerError: The database has no ledger.
            LedgerError: The database cannot be reached or read.
        """
        with translated(url):
            connection = connect(url, reads=True)
            try:
                check_exists(connection, url)
                version = read_format(connection)
                if version == FORMAT:
                    _bring_up_to_date(connection, progress)
                connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                # The first statement takes the snapshot.
                uncounted = waiting_events(connection, version) if version >= SUMS_FORMAT else 0
            except BaseException:
                connection.close()
                raise
        return cls(url, connection, version, uncounted)

    def events(self, selection: EventSelection = ALL_EVENTS) -> Iterator[LedgerEvent]:
        """Yield the selected events in the order of their recording. Raises `LedgerError`."""
        condition, parameters = event_condition("targetry_event", selection, "%s")
        events = _EVENTS.format(facts="facts::text" if self._format >= FACTS_FORMAT else "NULL")
        for row in self._rows(f"{events} WHERE {condition} ORDER BY seq", parameters):
            yield event_of_row(row)

    def exposures(self, selection: EventSelection = ALL_EVENTS) -> Iterator[FirstImpression]:
        """Yield the selected first impressions of each visitor and activity, in any order.

        Raises:
            LedgerError: The database cannot be read, or `has_sums` is False.
        """
        condition, parameters = exposure_condition(selection, "%s")
        for row in self._rows(f"{_EXPOSURES} WHERE {condition}", parameters):
            yield FirstImpression(*row)

    def _rows(
        self, query: str, parameters: Sequence[object] | Mapping[str, object]
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query, of which the client holds a few at a time."""
        with translated(self._url), self._connection.cursor(name="rows") as cursor:
            cursor.itersize = _ROWS_AT_ONCE
            yield from cursor.execute(query, parameters)

    def timeline(self, now_ms: int) -> Timeline | None:
        """Return clicks, orders and revenue over time, up to `now_ms` (epoch ms).

        Returns:
            The timeline, None without events in the 48 days before, or without sums.

        Raises:
            LedgerError: The database cannot be read.
        """
        with translated(self._url):
            return read_timeline(self._connection, now_ms) if self.has_sums else None

    def activities(self) -> list[ActivityDescription]:
        """Return the latest description of each activity. Raises `LedgerError`."""
        with translated(self._url):
            rows = self._connection.execute(
                "SELECT activity_id, id, name, share FROM targetry_experience ORDER BY activity_id, position"
            ).fetchall()
            described = self._connection.execute(
                "SELECT id, name, type, shares_since_ms FROM targetry_activity ORDER BY position"
            ).fetchall()
        experiences: dict[str, list[ExperienceDescription]] = {}
        for activity_id, *fields in rows:
            experiences.setdefault(activity_id, []).append(ExperienceDescription(*fields))
        return [
            ActivityDescription(key, name, kind, tuple(experiences.get(key, ())), since)
            for key, name, kind, since in described
        ]

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
        limits = _limits(cap, zone)
        with translated(self._url):
            run = self._connection.execute
            if zone is None:
                rows = with_buyers(run(COHORTS), run(BUYERS, limits))
            else:
                rows = (row[1:] for row in run(SUMS_OF_VISITORS.format(value="''"), limits))
            found = build_sums(rows, run(IMPRESSIONS), run(ACTIVITIES), zone)
            add_amounts(found, run(AMOUNTS) if amounts else ())
        return found

    def visitors(self, history_ms: int, zone: tzinfo | None = None) -> Iterator[VisitorSums]:
        """Yield the visitors who entered by the current shares; the time depends on their number.

        Args:
            history_ms: The length of the period before the first impression.
            zone: The time zone of the days, None for UTC.

        Raises:
            LedgerError: The ledger cannot be read, or `has_sums` is False.
        """
        values = {"history": history_ms, "step": step_ms(zone)}
        return build_visitors(self._rows(VISITORS, values), zone)

    def segments(self, name: str, cap: float | None = None, zone: tzinfo | None = None) -> Segments:
        """Return the sums by the value of a fact; none before the tables have the current format.

        The time is that of `sums`, and grows with the number of values. New and returning visitors
        are read from their events, in tables of any format.

        Args:
            name: Name of the fact, as of `LedgerEvent.facts`, or `NEW`.
            cap: The amount up to which a visitor's revenue counts.
            zone: The time zone of the days, None for UTC.

        Raises:
            LedgerError: The ledger cannot be read, or `has_sums` is False.
        """
        if name != NEW and self._format < SEGMENTS_FORMAT:
            return {}
        values = {"name": name, **_limits(cap, zone)}
        with translated(self._url):
            run = self._connection.execute
            if name == NEW or zone is not None:
                query = SUMS_OF_VISITORS.format(value=VISIT if name == NEW else FACT)
                return build_segments(run(query, values), zone)
            return build_segments(with_buyers(run(SEGMENT_COHORTS, values), run(SEGMENT_BUYERS, values)))

    def period(self) -> Period | None:
        """Return the period that the events cover, None without events. Raises `LedgerError`."""
        with translated(self._url):
            first, last, removed = self._connection.execute(_PERIOD).fetchone()
        return None if first is None else Period(first, last, removed)

    def close(self) -> None:
        """Close the connection. Idempotent."""
        with contextlib.suppress(Exception):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _limits(cap: float | None, zone: tzinfo | None) -> dict[str, int | None]:
    """Return the parameters of queries for sums: the cap in micros, and the length of a step."""
    return {"cap": None if cap is None else round(cap * MICROS), "step": step_ms(zone)}


def _bring_up_to_date(connection: Any, progress: Progress) -> None:
    """Count the queued events, unless another process does or the role may only read."""
    from psycopg import errors

    with contextlib.suppress(
        errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction, errors.LockNotAvailable
    ):
        count_events(connection, progress=progress)
