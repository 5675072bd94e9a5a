"""Aggregation of a list of events into the sums that `ledger.sums` defines."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from targetry.ledger.event import ActivityDescription, LedgerEvent
from targetry.ledger.schema import ADD_RECORDED_MS, FIRST_FORMAT, SUMS
from targetry.ledger.sums import ActivitySums, read_sums

_FIELDS: Final = LedgerEvent.__struct_fields__
_INSERT: Final = f"INSERT INTO event ({', '.join(_FIELDS)}) VALUES ({', '.join('?' * len(_FIELDS))})"
_DESCRIBE: Final = "INSERT OR IGNORE INTO activity (id, shares_since_ms) VALUES (?, ?)"


def aggregate(
    events: Iterable[LedgerEvent],
    activities: Sequence[ActivityDescription] = (),
    cap: float | None = None,
    *,
    amounts: bool = False,
) -> dict[str, ActivitySums]:
    """Return the sums of events by activity id.

    The events pass through a temporary database with the ledger's triggers; SQLite moves it to the
    disk when it becomes large.

    Args:
        events: Each event once, in any order.
        activities: Descriptions, whose `shares_since_ms` counts.
        cap: The amount up to which a visitor's revenue counts in the cohorts.
        amounts: Whether to count the buyers by their revenue, too.
    """
    with contextlib.closing(sqlite3.connect("", isolation_level=None)) as connection:
        for statement in (*FIRST_FORMAT, *ADD_RECORDED_MS, *SUMS):
            connection.execute(statement)
        connection.execute("BEGIN")
        connection.executemany(_DESCRIBE, [(one.id, one.shares_since_ms) for one in activities])
        connection.executemany(_INSERT, map(msgspec.structs.astuple, events))
        return read_sums(connection, cap, amounts=amounts)
