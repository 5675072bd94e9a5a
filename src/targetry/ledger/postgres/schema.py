"""Tables of a ledger in PostgreSQL, and their migrations.

Processes that open a ledger at the same time take turns: each migration holds an advisory lock of
its transaction. Ids compare by code point, as in SQLite.
"""

from __future__ import annotations

from typing import Any, Final

from targetry.ledger.errors import FOREIGN, UNUSABLE, LedgerError, LedgerVersionError, NoLedgerError
from targetry.ledger.postgres.counting import FORMAT, IS_IMPRESSION, SEGMENT_KEY, SUM_SEGMENTS
from targetry.ledger.postgres.errors import ledger_name

SUMS_FORMAT: Final = 2
"""The first format that holds sums."""

FACTS_FORMAT: Final = 3
"""The first format whose events have facts."""

SEGMENTS_FORMAT: Final = 4
"""The first format that holds the sums of segments."""

_LOCK: Final = 0x54524759  # key of the advisory lock
_ENCODINGS: Final = ("UTF8", "SQL_ASCII")  # the latter stores what it gets
_LONGEST_MS: Final = 3_600_000  # of a migration, which reads all events
MIGRATIONS: Final = (
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
    f"""
    CREATE INDEX targetry_event_of_visitor ON targetry_event (visitor, kind);
    CREATE INDEX targetry_event_of_order ON targetry_event (order_id) WHERE order_id IS NOT NULL;
    CREATE TABLE targetry_uncounted (seq bigint PRIMARY KEY);
    CREATE TABLE targetry_recount (visitor text COLLATE "C", order_id text COLLATE "C");
    CREATE TABLE targetry_counted (activity_id text COLLATE "C" PRIMARY KEY, since_ms bigint NOT NULL);
    CREATE TABLE targetry_participation (
        visitor text COLLATE "C" NOT NULL, activity_id text COLLATE "C" NOT NULL,
        experience_id text COLLATE "C", first_ms bigint, first_id text COLLATE "C",
        switched boolean NOT NULL DEFAULT false, last_click_ms bigint, last_order_ms bigint,
        bound_orders bigint NOT NULL DEFAULT 0, orders bigint NOT NULL DEFAULT 0,
        micros numeric NOT NULL DEFAULT 0, unusable bigint NOT NULL DEFAULT 0,
        PRIMARY KEY (visitor, activity_id)
    );
    CREATE INDEX targetry_buyer ON targetry_participation (activity_id, experience_id, first_ms)
        INCLUDE (orders, micros) WHERE orders > 0;
    CREATE TABLE targetry_purchase (
        activity_id text COLLATE "C" NOT NULL, order_key text COLLATE "C" NOT NULL, at_ms bigint NOT NULL,
        event_id text COLLATE "C" NOT NULL, visitor text COLLATE "C" NOT NULL, is_bound boolean NOT NULL,
        micros bigint NOT NULL, unusable boolean NOT NULL, PRIMARY KEY (order_key, activity_id)
    );
    CREATE INDEX targetry_purchase_of_visitor ON targetry_purchase (visitor, activity_id);
    CREATE TABLE targetry_impression_sum (
        activity_id text COLLATE "C" NOT NULL, experience_id text COLLATE "C" NOT NULL, impressions bigint NOT NULL
    );
    CREATE TABLE targetry_cohort_sum (
        activity_id text COLLATE "C" NOT NULL, experience_id text COLLATE "C" NOT NULL, day bigint NOT NULL,
        entered boolean NOT NULL, visitors bigint NOT NULL, conversions bigint NOT NULL, orders bigint NOT NULL,
        micros numeric NOT NULL, unusable bigint NOT NULL, PRIMARY KEY (activity_id, experience_id, day, entered)
    );
    CREATE TABLE targetry_activity_sum (
        activity_id text COLLATE "C" PRIMARY KEY, switched bigint NOT NULL, outside bigint NOT NULL
    );
    CREATE FUNCTION targetry_queue_new() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO targetry_uncounted SELECT seq FROM changed;
        RETURN NULL;
    END $$;
    CREATE FUNCTION targetry_queue_removed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        WITH uncounted AS (
            DELETE FROM targetry_uncounted USING changed WHERE targetry_uncounted.seq = changed.seq
            RETURNING changed.seq
        )
        INSERT INTO targetry_impression_sum SELECT activity_id, experience_id, -count(*) FROM changed
        WHERE {IS_IMPRESSION} AND NOT EXISTS (SELECT 1 FROM uncounted WHERE uncounted.seq = changed.seq) GROUP BY 1, 2;
        INSERT INTO targetry_recount (visitor) SELECT DISTINCT visitor FROM changed;
        INSERT INTO targetry_recount (order_id) SELECT DISTINCT order_id FROM changed
        WHERE kind = 'order' AND order_id <> '';
        RETURN NULL;
    END $$;
    CREATE TRIGGER targetry_queue_new AFTER INSERT ON targetry_event
        REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION targetry_queue_new();
    CREATE TRIGGER targetry_queue_removed AFTER DELETE ON targetry_event
        REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION targetry_queue_removed();
    INSERT INTO targetry_uncounted SELECT seq FROM targetry_event;
    """,
    "ALTER TABLE targetry_event ADD COLUMN facts jsonb",
    f"""
    ALTER TABLE targetry_participation ADD COLUMN facts jsonb;
    CREATE TABLE targetry_segment_sum (
        name text COLLATE "C" NOT NULL, value text COLLATE "C" NOT NULL, activity_id text COLLATE "C" NOT NULL,
        experience_id text COLLATE "C" NOT NULL, day bigint NOT NULL, entered boolean NOT NULL,
        visitors bigint NOT NULL, conversions bigint NOT NULL, orders bigint NOT NULL, micros numeric NOT NULL,
        unusable bigint NOT NULL, PRIMARY KEY ({SEGMENT_KEY})
    );
    UPDATE targetry_participation SET facts = event.facts
    FROM targetry_event AS event WHERE event.id = first_id AND event.facts IS NOT NULL;
    {SUM_SEGMENTS.format(condition="true")};
    """,
    # The numbers of distinct values are fixed, because a visitor with most of the events would let
    # the planner read the whole table for each visitor.
    """
    ALTER TABLE targetry_recount ADD COLUMN seqs bigint[];
    ALTER TABLE targetry_event ALTER COLUMN visitor SET (n_distinct = -0.2),
        ALTER COLUMN order_id SET (n_distinct = -0.01);
    ALTER TABLE targetry_participation ALTER COLUMN visitor SET (n_distinct = -0.5);
    ALTER TABLE targetry_purchase ALTER COLUMN visitor SET (n_distinct = -0.5),
        ALTER COLUMN order_key SET (n_distinct = -0.5);
    """,
)
"""Statements of each format, from the first one on."""


def migrate(connection: Any) -> None:
    """Bring the tables to the current format, in a transaction of its own.

    Tables of the current format need no right to create any.

    Raises:
        LedgerVersionError: The tables are of a later version.
        LedgerError: The encoding of the database does not have all characters.
        psycopg.Error: A statement failed.
    """
    (encoding,) = connection.execute("SHOW server_encoding").fetchone()
    if encoding not in _ENCODINGS:
        raise LedgerError(
            UNUSABLE,
            f"a database with the encoding {encoding} cannot hold a ledger: it lacks characters that visitors send; "
            "create one with ENCODING 'UTF8'",
        )
    if has_tables(connection) and read_format(connection) == FORMAT:
        return
    with connection.transaction():
        connection.execute(
            f"SET LOCAL lock_timeout = {_LONGEST_MS}; SET LOCAL statement_timeout = {_LONGEST_MS}"
        )
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        connection.execute(
            "CREATE TABLE IF NOT EXISTS targetry_ledger (format integer NOT NULL, removed bigint NOT NULL)"
        )
        version = read_format(connection)
        for statements in MIGRATIONS[version:]:
            connection.execute(statements)
        if version == 0:
            connection.execute("INSERT INTO targetry_ledger VALUES (%s, 0)", (FORMAT,))
        elif version < FORMAT:
            connection.execute("UPDATE targetry_ledger SET format = %s", (FORMAT,))


def has_tables(connection: Any) -> bool:
    """Return whether the database has a ledger, of any format. Raises `psycopg.Error`."""
    (table,) = connection.execute("SELECT to_regclass('targetry_ledger')").fetchone()
    return table is not None


def check_exists(connection: Any, url: str) -> None:
    """Check that the database of a connection has a ledger.

    Raises:
        NoLedgerError: It has none.
        psycopg.Error: The database cannot be read.
    """
    if not has_tables(connection):
        raise NoLedgerError(
            "missing",
            f"there is no ledger in {ledger_name(url)}: no edge has recorded there; check the address",
        )


def read_format(connection: Any) -> int:
    """Return the format of the tables, 0 for a new one.

    Raises:
        LedgerVersionError: The format is a later one.
        psycopg.Error: The table of the format cannot be read.
    """
    row = connection.execute("SELECT format FROM targetry_ledger").fetchone()
    version = int(row[0]) if row else 0
    if version > FORMAT:
        raise LedgerVersionError(
            FOREIGN,
            f"the ledger in PostgreSQL has format {version}, and this version of Targetry reads formats up to {FORMAT}; "
            "use a later version or another database",
        )
    return version
