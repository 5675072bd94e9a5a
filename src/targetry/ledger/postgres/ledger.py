"""Event store in PostgreSQL: any number of edges on any number of machines write one ledger.

`record` returns when its events are committed, with the durability of the server's
`synchronous_commit`. Writes that wait are one transaction and one statement. A connection that is
lost is opened again by the next write; until then each call raises `LedgerError`, which an edge
answers with 503. A call can be repeated: events that were recorded in spite of the error are known
by their ids.

Events are counted into the sums every few seconds, by one of the processes that record, and when a
ledger is opened for reading.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Self

import msgspec

from targetry._runtime.logger import Log
from targetry._runtime.periodic_task import PeriodicTask
from targetry.ledger.errors import LOCKED, LedgerError
from targetry.ledger.event import ActivityDescription, LedgerEvent, Row
from targetry.ledger.group_commit import GroupCommit, Write
from targetry.ledger.postgres.answer_limit import AnswerLimit
from targetry.ledger.postgres.connection import connect
from targetry.ledger.postgres.counting import count_events
from targetry.ledger.postgres.errors import UNREACHABLE, ledger_name, translate, translated
from targetry.ledger.postgres.reader import PostgresReader
from targetry.ledger.postgres.schema import has_tables, migrate
from targetry.ledger.store import EventStore, discard_key, shares_differ

_FIELDS: Final = (*LedgerEvent.__struct_fields__, "recorded_ms")
_TYPES: Final = {"timestamp_ms": "bigint", "recorded_ms": "bigint", "order_total": "float8"}
_NAMES: Final = ", ".join(_FIELDS)
# The events are one JSON text, which takes half the time of an array for each field. They are
# sorted, so that two edges that insert the same events do not wait for each other.
_INSERT: Final = (
    f"INSERT INTO targetry_event ({_NAMES}) "
    f"SELECT {', '.join('facts::jsonb' if name == 'facts' else name for name in _FIELDS)} "
    "FROM ROWS FROM (json_to_recordset(%s::json) AS ("
    + ", ".join(f"{name} {_TYPES.get(name, 'text')}" for name in _FIELDS)
    + f')) WITH ORDINALITY AS given ({_NAMES}, place) ORDER BY id COLLATE "C", place '
    "ON CONFLICT (id) DO NOTHING RETURNING id"
)
_DESCRIBE: Final = (
    "INSERT INTO targetry_activity (id, name, type, shares_since_ms) VALUES (%s, %s, %s, %s) ON CONFLICT (id) "
    "DO UPDATE SET name = excluded.name, type = excluded.type, shares_since_ms = excluded.shares_since_ms"
)
COUNT_EVERY_S: Final = 5.0
ANSWER_TIMEOUT_S: Final = 15.0  # more than the server's limit of a statement
# A standby that took over, and a new database. Another connection can have what this one has not.
_OTHER_SERVER: Final = ("25006", "42P01")
_CLOSE_TIMEOUT_S: Final = 10.0
_CLOCKS_DIFFER_S: Final = 30.0
_NUL, _SYMBOL_FOR_NUL, _NUL_IN_JSON = "\x00", "\u2400", rb"\u0000"


class PostgresLedger(EventStore):
    """Records events in PostgreSQL; created by `PostgresLedger.open`. Thread-safe."""

    def __init__(
        self,
        url: str,
        *,
        count_every_s: float = COUNT_EVERY_S,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.url = url
        self._clock = clock
        self._counter = _Counter(url, count_every_s)
        self._writer = GroupCommit(_Database(url, self._counter.schedule, answer_timeout_s, clock))

    @classmethod
    def open(
        cls,
        url: str,
        *,
        count_every_s: float = COUNT_EVERY_S,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
        clock: Callable[[], float] = time.time,
    ) -> Self:
        """Open the ledger of a database; create its tables if they are missing.

        Args:
            url: An address like `postgresql://user:password@host:5432/database`.
            count_every_s: Seconds between two counts of new events into the sums.
            answer_timeout_s: Seconds after which a server that does not answer a write counts as
                unreachable.
            clock: Returns the time of recording in epoch seconds. A warning is logged if it differs
                from the server's clock, because visitors who reach several edges then seem to act
                before they see.

        Raises:
            OptionError: The address is wrong.
            MissingExtraError: The extra `postgres` is not installed.
            LedgerVersionError: The tables are of a later version.
            LedgerError: The database cannot be reached or used.
        """
        with translated(url), contextlib.closing(connect(url)) as connection:
            migrate(connection)
        return cls(url, count_every_s=count_every_s, answer_timeout_s=answer_timeout_s, clock=clock)

    def reader(self) -> PostgresReader:
        """Return a snapshot of the ledger. Raises `LedgerError`."""
        return PostgresReader.open(self.url)

    def close(self) -> None:
        """Commit the waiting writes and close the database. Idempotent."""
        super().close()
        self._counter.close()

    def _insertion(self, rows: Sequence[Row]) -> Write[list[bool]]:
        return _Insertion(rows, int(self._clock() * 1000))

    def _description(self, activities: Sequence[ActivityDescription], now_ms: int) -> Write[None]:
        return partial(_describe, activities, now_ms)


class _Counter:
    """Counts events in the background while a process records."""

    def __init__(self, url: str, every_s: float) -> None:
        self._url = url
        self._every_s = every_s
        self._closed = False
        self._task = PeriodicTask("targetry-sums", self._step)

    def schedule(self) -> None:
        """Count soon. Never raises."""
        if not self._task.running:
            self._task.schedule(self._every_s)

    def close(self) -> None:
        """End after the current transaction."""
        self._closed = True
        self._task.close(_CLOSE_TIMEOUT_S)

    def _step(self) -> float | None:
        """Count; end if there was nothing to count, or after an error, until the next write."""
        try:
            with translated(self._url), contextlib.closing(connect(self._url, reads=True)) as connection:
                counted = count_events(connection, is_stopped=lambda: self._closed)
        except Exception as error:
            if getattr(error, "reason", "") != LOCKED:  # otherwise another process counts
                Log().warning(
                    "the sums of the ledger are not up to date: %s; the next write repeats it", error
                )
            return None
        return self._every_s if counted else None


class _Insertion:
    """Write of events, which the database joins with others."""

    def __init__(self, rows: Sequence[Row], now_ms: int) -> None:
        self.rows = rows
        self.now_ms = now_ms

    def __call__(self, connection: Any) -> list[bool]:
        return _insert(connection, [self])[0]


class _Database:
    """Connection of the thread that writes; opened again after it was lost."""

    def __init__(
        self,
        url: str,
        on_insertion: Callable[[], object],
        answer_timeout_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._url = url
        self._on_insertion = on_insertion
        self._clock = clock
        self._connection: Any = None
        self._limit = AnswerLimit(answer_timeout_s)

    def run(self, writes: Sequence[Write[Any]]) -> list[Any]:
        """Run writes in one transaction. Raises `LedgerError` or `psycopg.Error`."""
        self._limit.start()
        try:
            return self._run_again(writes)
        except Exception as error:
            if not self._limit.has_expired:
                raise
            self.close()
            message = f"the server does not answer within {self._limit.timeout_s:g} s"
            raise LedgerError(UNREACHABLE, f"the ledger {ledger_name(self._url)}: {message}") from error
        finally:
            self._limit.end()

    def _run_again(self, writes: Sequence[Write[Any]]) -> list[Any]:
        """Run writes, and repeat them if they found a connection that was lost before."""
        is_new = self._connection is None
        try:
            return self._run(writes)
        except Exception as error:
            if self._limit.has_expired:
                raise
            is_elsewhere = getattr(error, "sqlstate", None) in _OTHER_SERVER
            lost = self._connection is None or is_elsewhere or self._is_unusable()
            if lost:
                self.close()
            # A server that restarted has closed an idle connection; ids prevent a second write.
            if is_new or not lost or isinstance(error, LedgerError):
                raise
        return self._run(writes)

    def _run(self, writes: Sequence[Write[Any]]) -> list[Any]:
        if self._connection is None:
            self._connection = connect(self._url)
            self._limit.watch(self._connection)
            self._make_tables()
            self._compare_clocks()
        results: list[Any] = []
        groups = _grouped(writes)
        is_one_statement = len(groups) == 1 and isinstance(groups[0], list)
        with contextlib.nullcontext() if is_one_statement else self._connection.transaction():
            for group in groups:
                if isinstance(group, list):
                    results += _insert(self._connection, group)
                else:
                    results.append(group(self._connection))
        self._on_insertion()
        return results

    def _make_tables(self) -> None:
        """Make the tables in a database that is empty, unlike the one of the start."""
        if not has_tables(self._connection):
            migrate(self._connection)
            Log().warning(
                "the ledger %s had no tables any more, and is a new one: the earlier events are in another database, "
                "or lost; check the address, and restart the edges to name the activities",
                ledger_name(self._url),
            )

    def _compare_clocks(self) -> None:
        (theirs,) = self._connection.execute(
            "SELECT extract(epoch FROM clock_timestamp())::float8"
        ).fetchone()
        ahead = self._clock() - theirs
        if abs(ahead) > _CLOCKS_DIFFER_S:
            Log().warning(
                "the clock of this machine differs from that of PostgreSQL by %+.0f s: conversions of visitors who "
                "reach several edges can be missed; synchronize the clocks",
                ahead,
            )

    def translate(self, error: Exception) -> LedgerError:
        """Return a new exception for an error of `run`."""
        return translate(self._url, error)

    def count(self, most: int) -> bool:
        """Leave the counting to the thread that does it for the process."""
        return False

    def close(self) -> None:
        """Close the connection."""
        self._limit.release()
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.close()

    def _is_unusable(self) -> bool:
        """Return whether the connection is lost, or still waits for the result of a command."""
        from psycopg.pq import TransactionStatus

        status = self._connection.info.transaction_status
        return bool(self._connection.broken) or status != TransactionStatus.IDLE


def _grouped(writes: Sequence[Write[Any]]) -> list[list[_Insertion] | Write[Any]]:
    """Return the writes with neighboring insertions as lists."""
    found: list[list[_Insertion] | Write[Any]] = []
    for write in writes:
        if isinstance(write, _Insertion):
            if not found or not isinstance(found[-1], list):
                found.append([])
            last = found[-1]
            assert isinstance(last, list)
            last.append(write)
        else:
            found.append(write)
    return found


def _insert(connection: Any, insertions: Sequence[_Insertion]) -> list[list[bool]]:
    """Insert events by one statement; return for each event of each write whether it is new."""
    new = {key for (key,) in connection.execute(_INSERT, (_as_json(insertions),)).fetchall()}
    return [[discard_key(new, _storable(row[0])) for row in one.rows] for one in insertions]


def _as_json(insertions: Sequence[_Insertion]) -> str:
    rows = [(*row, one.now_ms) for one in insertions for row in one.rows]
    text = msgspec.json.encode([dict(zip(_FIELDS, row, strict=True)) for row in rows])
    if _NUL_IN_JSON in text:
        storable = (map(_storable, row) for row in rows)
        text = msgspec.json.encode([dict(zip(_FIELDS, row, strict=True)) for row in storable])
    return text.decode()


def _storable(value: Any) -> Any:
    """Return a field as PostgreSQL can store it: its texts hold no NUL."""
    return value.replace(_NUL, _SYMBOL_FOR_NUL) if isinstance(value, str) and _NUL in value else value


def _describe(activities: Sequence[ActivityDescription], now_ms: int, connection: Any) -> None:
    for activity in sorted(activities, key=lambda one: one.id):
        row = connection.execute(
            "SELECT shares_since_ms FROM targetry_activity WHERE id = %s FOR UPDATE", (activity.id,)
        ).fetchone()
        known = connection.execute(
            "SELECT id, share FROM targetry_experience WHERE activity_id = %s", (activity.id,)
        ).fetchall()
        if row is None:
            since = activity.shares_since_ms
        else:
            since = now_ms if shares_differ(dict(known), activity) else row[0]
        connection.execute(_DESCRIBE, (activity.id, activity.name, activity.type, since))
        connection.execute("DELETE FROM targetry_experience WHERE activity_id = %s", (activity.id,))
        for position, one in enumerate(activity.experiences):
            connection.execute(
                "INSERT INTO targetry_experience VALUES (%s, %s, %s, %s, %s)",
                (activity.id, position, one.id, one.name, one.share),
            )
