"""Tables of a ledger in PostgreSQL, and their migrations.

Processes that open a ledger at the same time take turns: each migration holds an advisory lock of
its transaction. Ids compare by code point, as in SQLite.
"""

from __future__ import annotations

from typing import Any, Final

from targetry.ledger.errors import FOREIGN, LedgerVersionError

FORMAT: Final = 1
_LOCK: Final = 0x54524759  # key of the advisory lock
_MIGRATIONS: Final = (
    """
    CREATE TABLE targetry_event (
        seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        id text COLLATE "C" NOT NULL UNIQUE, kind text NOT NULL, visitor text COLLATE "C" NOT NULL,
        activity_id text COLLATE "C" NOT NULL, experience_id text COLLATE "C" NOT NULL, location text NOT NULL,
        token text NOT NULL, timestamp_ms bigint NOT NULL, session_id text NOT NULL,
        order_id text COLLATE "C", order_total double precision, recorded_ms bigint NOT NULL
    );
    CREATE INDEX targetry_event_of_age ON targetry_event (least(timestamp_ms, recorded_ms));
    CREATE TABLE targetry_activity (
        id text COLLATE "C" PRIMARY KEY, position bigint GENERATED ALWAYS AS IDENTITY,
        name text, type text, shares_since_ms bigint NOT NULL
    );
    CREATE TABLE targetry_experience (
        activity_id text COLLATE "C" NOT NULL, position integer NOT NULL, id text COLLATE "C" NOT NULL,
        name text, share double precision, PRIMARY KEY (activity_id, id)
    );
    """,
)
"""Statements of each format, from the first one on."""


def migrate(connection: Any) -> None:
    """Bring the tables to the current format, in a transaction of its own.

    Raises:
        LedgerVersionError: The tables are of a later version.
        psycopg.Error: A statement failed.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        connection.execute(
            "CREATE TABLE IF NOT EXISTS targetry_ledger (format integer NOT NULL, removed bigint NOT NULL)"
        )
        row = connection.execute("SELECT format FROM targetry_ledger").fetchone()
        version = row[0] if row else 0
        check_format(version)
        for statements in _MIGRATIONS[version:]:
            connection.execute(statements)
        if row is None:
            connection.execute("INSERT INTO targetry_ledger VALUES (%s, 0)", (FORMAT,))
        elif version < FORMAT:
            connection.execute("UPDATE targetry_ledger SET format = %s", (FORMAT,))


def check_format(version: int) -> None:
    """Check the format of the tables. Raises `LedgerVersionError` for a later one."""
    if version > FORMAT:
        raise LedgerVersionError(
            FOREIGN,
            f"the ledger in PostgreSQL has format {version}, and this version of Targetry reads formats up to {FORMAT}; "
            "use a later version or another database",
        )
