"""Aggregation of a list of events into the sums that `ledger.sums` defines."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import tzinfo
from typing import Final, Protocol

from targetry.ledger.counting import count_chunk
from targetry.ledger.database import upgrade_statements
from targetry.ledger.event import ActivityDescription, LedgerEvent, event_row
from targetry.ledger.sums import (
    ActivitySums,
    Segments,
    VisitorSums,
    read_segments,
    read_sums,
    read_visitors,
)

_FIELDS: Final = LedgerEvent.__struct_fields__
_INSERT: Final = f"INSERT INTO event ({', '.join(_FIELDS)}) VALUES ({', '.join('?' * len(_FIELDS))})"
_DESCRIBE: Final = "INSERT OR IGNORE INTO activity (id, shares_since_ms) VALUES (?, ?)"

_CHUNK: Final = 20_000


class SumsSource(Protocol):
    """Source of the figures of a report, such as a ledger."""

    def sums(
        self, cap: float | None = None, *, amounts: bool = False, zone: tzinfo | None = None
    ) -> dict[str, ActivitySums]:
        """Return the sums by activity id; a visitor's revenue counts up to `cap` in cohorts."""

    def visitors(self, history_ms: int, zone: tzinfo | None = None) -> Iterator[VisitorSums]:
        """Yield the visitors who entered by the current shares, with what they did before."""


class Aggregate:
    """Database in which events are counted as in a ledger."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def sums(
        self, cap: float | None = None, *, amounts: bool = False, zone: tzinfo | None = None
    ) -> dict[str, ActivitySums]:
        """Return the sums by activity id; a visitor's revenue counts up to `cap` in cohorts."""
        return read_sums(self._connection, cap, amounts=amounts, zone=zone)

    def visitors(self, history_ms: int, zone: tzinfo | None = None) -> Iterator[VisitorSums]:
        """Yield the visitors who entered by the current shares, with what they did before."""
        return read_visitors(self._connection, history_ms, zone)

    def segments(self, name: str, cap: float | None = None, zone: tzinfo | None = None) -> Segments:
        """Return the sums by the value of a fact of the first impression, or by `NEW`."""
        return read_segments(self._connection, name, cap, zone)


@contextlib.contextmanager
def aggregated(
    events: Iterable[LedgerEvent], activities: Sequence[ActivityDescription]
) -> Iterator[Aggregate]:
    """Count events.

    The events pass through a temporary database with the ledger's tables; SQLite moves it to the
    disk when it becomes large.

    Args:
        events: Each event once, in any order.
        activities: Descriptions, whose `shares_since_ms` counts.
    """
    with contextlib.closing(sqlite3.connect("", isolation_level=None)) as connection:
        for statement in upgrade_statements(0):
            connection.execute(statement)
        connection.execute("BEGIN")
        connection.executemany(_DESCRIBE, [(one.id, one.shares_since_ms) for one in activities])
        connection.executemany(_INSERT, map(event_row, events))
        while count_chunk(connection, _CHUNK):
            pass
        yield Aggregate(connection)
