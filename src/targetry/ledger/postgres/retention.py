"""Retention of a ledger in PostgreSQL: removes the events that are too old."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final

from targetry.ledger.postgres import counting
from targetry.ledger.postgres.connection import connect, translated
from targetry.ledger.retention import cutoff_ms

_LOCK: Final = 0x54524760  # key of the advisory lock of the edge that prunes
_CHUNK: Final = 5_000
_REMOVE: Final = (
    "WITH gone AS (DELETE FROM targetry_event WHERE seq IN "
    "(SELECT seq FROM targetry_event WHERE least(timestamp_ms, recorded_ms) < %s LIMIT %s) RETURNING 1), "
    "total AS (SELECT count(*) AS number FROM gone) "
    "UPDATE targetry_ledger SET removed = removed + number FROM total RETURNING number"
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
        while is_alone and not is_stopped():
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (counting.LOCK,))
                (count,) = connection.execute(_REMOVE, (cutoff, _CHUNK)).fetchone()
            removed += count
            if count < _CHUNK:
                break
    return removed
