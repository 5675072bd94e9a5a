"""Removal of events from a ledger in PostgreSQL: of those that are too old, and of visitors."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from targetry.ledger.database import Progress, no_progress
from targetry.ledger.postgres import counting
from targetry.ledger.postgres.connection import connect
from targetry.ledger.postgres.errors import translated
from targetry.ledger.postgres.schema import check_exists, migrate
from targetry.ledger.retention import ErasureResult, cutoff_ms

_LOCK: Final = 0x54524760  # key of the advisory lock of the edge that prunes
_CHUNK: Final = 5_000
_REMOVE: Final = (
    "WITH gone AS (DELETE FROM targetry_event WHERE seq IN "
    "(SELECT seq FROM targetry_event WHERE {condition} LIMIT %s) RETURNING 1), "
    "total AS (SELECT count(*) AS number FROM gone) "
    "UPDATE targetry_ledger SET removed = removed + number FROM total RETURNING number"
)
_IS_OLD: Final = "least(timestamp_ms, recorded_ms) < %s"
_IS_OF_VISITORS: Final = "visitor = ANY(%s)"
_TABLES_OF_VISITORS: Final = (
    "targetry_event, targetry_participation, targetry_purchase, targetry_uncounted, targetry_recount, "
    "targetry_segment_sum"
)


def prune_postgres(
    url: str,
    keep_days: float,
    *,
    now_ms: int | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Remove the events that are older, unless another process does; return their number.

    Args:
        url: The address of the ledger.
        keep_days: The age in days up to which events are kept.
        now_ms: The time in epoch milliseconds; by default the clock's.
        is_stopped: Called after each transaction; True ends the removal early.

    Raises:
        LedgerError: The ledger cannot be reached or written to. Completed transactions stand.
    """
    cutoff, removed = cutoff_ms(keep_days, now_ms), 0
    with translated(url), contextlib.closing(connect(url)) as connection:
        (is_alone,) = connection.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,)).fetchone()
        for count in _remove(connection, _IS_OLD, cutoff) if is_alone else ():
            removed += count
            if is_stopped():
                break
        if removed:  # whose sums are counted later, so that these are of earlier removals
            _remove_empty_segments(connection)
    return removed


def erase_postgres(url: str, visitors: Sequence[str], *, progress: Progress = no_progress) -> ErasureResult:
    """Remove all events of visitors.

    Tables of an earlier format are upgraded first. The server can reuse the space at once; what it
    still holds there is overwritten later.

    Args:
        url: The address of the ledger.
        visitors: The visitors, as in the events.
        progress: Called with the number of events removed so far, and of those to remove.

    Raises:
        OptionError: The address is wrong.
        MissingExtraError: The extra `postgres` is not installed.
        LedgerVersionError: The tables are of a later version.
        LedgerError: The ledger cannot be reached or written to. Completed transactions stand.
    """
    removed = 0
    with translated(url), contextlib.closing(connect(url, reads=True)) as connection:
        check_exists(connection, url)
        migrate(connection)
        query = f"SELECT visitor, count(*) FROM targetry_event WHERE {_IS_OF_VISITORS} GROUP BY 1"
        events = dict(connection.execute(query, (list(visitors),)).fetchall())
        for count in _remove(connection, _IS_OF_VISITORS, list(visitors)):
            removed += count
            progress(removed, sum(events.values()))
        counting.count_events(connection)
        _remove_empty_segments(connection)
        connection.execute(f"VACUUM {_TABLES_OF_VISITORS}")
    return ErasureResult(removed, tuple(one for one in dict.fromkeys(visitors) if one not in events))


def _remove(connection: Any, condition: str, value: object) -> Iterator[int]:
    """Remove the events that meet a condition; yield their number after each transaction."""
    count = _CHUNK
    while count == _CHUNK:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (counting.LOCK,))
            statement = _REMOVE.format(condition=condition)
            (count,) = connection.execute(statement, (value, _CHUNK)).fetchone()
        yield count


def _remove_empty_segments(connection: Any) -> None:
    """Remove the sums of segments without visitors, which can be of a visitor's own value."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (counting.LOCK,))
        connection.execute("DELETE FROM targetry_segment_sum WHERE visitors = 0")
